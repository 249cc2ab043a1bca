// The bench service in gRPC C++ (callback API), to compare with. Prints its port; serves until killed.

#include <grpcpp/grpcpp.h>

#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>

#include "bench.grpc.pb.h"

using nd::bench::v1::BenchService;
using nd::bench::v1::Chunk;
using nd::bench::v1::Item;
using nd::bench::v1::StreamRequest;

class Chunks : public grpc::ServerWriteReactor<Chunk> {
  public:
    explicit Chunks(const StreamRequest *request) : left_(request->count())
    {
        chunk_.set_data(std::string(request->size(), '\0'));
        Next();
    }
    void OnWriteDone(bool ok) override
    {
        if (ok)
            Next();
        else
            Finish(grpc::Status::CANCELLED);
    }
    void OnDone() override { delete this; }

  private:
    void Next()
    {
        if (left_ == 0) {
            Finish(grpc::Status::OK);
            return;
        }
        left_--;
        StartWrite(&chunk_);
    }

    uint32_t left_;
    Chunk chunk_;
};

class Parked : public grpc::ServerBidiReactor<Item, Item> {
  public:
    Parked() { StartRead(&item_); }
    void OnReadDone(bool ok) override
    {
        if (ok)
            StartRead(&item_);
        else
            Finish(grpc::Status::OK);
    }
    void OnDone() override { delete this; }

  private:
    Item item_;
};

class Service : public BenchService::CallbackService {
    grpc::ServerUnaryReactor *Echo(grpc::CallbackServerContext *context, const Item *in,
                                   Item *out) override
    {
        *out = *in;
        auto *reactor = context->DefaultReactor();
        reactor->Finish(grpc::Status::OK);
        return reactor;
    }
    grpc::ServerWriteReactor<Chunk> *Stream(grpc::CallbackServerContext *,
                                            const StreamRequest *request) override
    {
        return new Chunks(request);
    }
    grpc::ServerBidiReactor<Item, Item> *Park(grpc::CallbackServerContext *) override
    {
        return new Parked;
    }
};

static std::string ReadFile(const char *path)
{
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

int main(int argc, char **argv)
{
    std::shared_ptr<grpc::ServerCredentials> credentials = grpc::InsecureServerCredentials();
    if (argc == 3) {
        grpc::SslServerCredentialsOptions options;
        options.pem_key_cert_pairs.push_back({ReadFile(argv[2]), ReadFile(argv[1])});
        credentials = grpc::SslServerCredentials(options);
    }
    Service service;
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", credentials, &port);
    builder.RegisterService(&service);
    auto server = builder.BuildAndStart();
    std::cout << port << std::endl;
    server->Wait();
}
