//! One message's way: claim, execute, persist, settle.
