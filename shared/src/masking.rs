//! Takes secret values out of text before it is stored or shown.
