//! The provider against real HTTP servers on loopback.

mod credentials;
