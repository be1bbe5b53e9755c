200 application/x-protobuf
