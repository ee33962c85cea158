"""What do tests stand on? Builders, fakes, real servers, and clients that treat us as others do."""
