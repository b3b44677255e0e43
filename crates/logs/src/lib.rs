//! Log drivers and readers.
