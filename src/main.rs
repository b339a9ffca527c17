//! Entry point: nothing but the allocator and the exit code.

fn main() {}
