module nd.bench

go 1.24
