//! Tests of the client against small servers on loopback.
