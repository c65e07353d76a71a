//! Tools that come with the framework: one file each, nothing but hooks and admission through the public interface.

mod trailing_slash;

pub use trailing_slash::TrailingSlash;
