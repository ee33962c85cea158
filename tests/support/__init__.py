"""What tests, trials and benchmarks share: builders, fakes, real servers, processes, and clients of the API."""
