//! The world a test lives in: hosts, clients, a private namespace, and a leak check at its end.
