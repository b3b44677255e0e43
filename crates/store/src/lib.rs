//! Metadata database, content-addressed blobs, snapshots, references and garbage collection.
