// The bench service in grpc-go, to compare with. Prints its port; serves until killed.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"nd.bench/pb"
)

type service struct {
	pb.UnimplementedBenchServiceServer
}

func (service) Echo(_ context.Context, in *pb.Item) (*pb.Item, error) {
	return in, nil
}

func (service) Stream(in *pb.StreamRequest, out grpc.ServerStreamingServer[pb.Chunk]) error {
	chunk := &pb.Chunk{Data: make([]byte, in.Size)}
	for i := uint32(0); i < in.Count; i++ {
		if err := out.Send(chunk); err != nil {
			return err
		}
	}
	return nil
}

func (service) Park(stream grpc.BidiStreamingServer[pb.Item, pb.Item]) error {
	for {
		if _, err := stream.Recv(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	var options []grpc.ServerOption
	if len(os.Args) == 3 {
		tls, err := credentials.NewServerTLSFromFile(os.Args[1], os.Args[2])
		if err != nil {
			log.Fatal(err)
		}
		options = append(options, grpc.Creds(tls))
	}
	server := grpc.NewServer(options...)
	pb.RegisterBenchServiceServer(server, service{})
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	log.Fatal(server.Serve(listener))
}
