//! The proof
