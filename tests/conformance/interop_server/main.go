// A server of grpc-go's own test service, on the listeners that its stock program lacks.
//
//	interop_server [-cert F -key F] ADDRESS...
//
// ADDRESS is unix:PATH, tcp:HOST:PORT or tls:HOST:PORT. For each one "listening ADDRESS" is printed, with
// the real port.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	_ "google.golang.org/grpc/encoding/gzip" // reads it then, and answers in kind
	"google.golang.org/grpc/interop"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/orca"
)

var (
	cert = flag.String("cert", "", "certificate of the TLS listeners")
	key  = flag.String("key", "", "its key")
)

func serve(address string) error {
	kind, where, _ := strings.Cut(address, ":")
	network := "tcp"
	options := []grpc.ServerOption{orca.CallMetricsServerOption(nil)}
	switch kind {
	case "unix":
		network = "unix"
	case "tls":
		creds, err := credentials.NewServerTLSFromFile(*cert, *key)
		if err != nil {
			return err
		}
		options = append(options, grpc.Creds(creds))
	}
	listener, err := net.Listen(network, where)
	if err != nil {
		return err
	}
	server := grpc.NewServer(options...)
	grpc_testing.RegisterTestServiceServer(server, interop.NewTestServer())
	fmt.Printf("listening %s:%s\n", kind, listener.Addr())
	return server.Serve(listener)
}

func main() {
	flag.Parse()
	for _, address := range flag.Args() {
		go func(address string) { log.Fatal(serve(address)) }(address)
	}
	select {}
}
