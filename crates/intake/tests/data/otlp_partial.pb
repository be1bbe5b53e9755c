200 application/x-protobuf

"a record "that" cannot be read