//! The data plane from outside: real sockets, scripted servers and clients, one gate a test.

mod harness;

mod process;
