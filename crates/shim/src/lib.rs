//! The per-container supervisor, the zygote that forks it and the protocol that speaks to it.
