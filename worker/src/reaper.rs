//! Hands back runs whose worker no longer answers.
