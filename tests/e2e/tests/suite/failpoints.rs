// The failpoints of the engine.
killed_at! {
}
