503 application/x-protobuf
$no room at the moment: send it again