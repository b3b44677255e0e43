//! To come.
crate::cases![];
