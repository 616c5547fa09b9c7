//! What becomes of a message once its run is over. Pure.
