//! Fixed regular expressions.

/// A regular expression that is compiled once, when it is first used. It is fixed text
/// and each is used by a test, so that compiling it can't fail in the field.
macro_rules! pattern {
    ($name:ident, $text:expr) => {
        static $name: std::sync::LazyLock<regex::Regex> =
            std::sync::LazyLock::new(|| regex::Regex::new($text).unwrap());
    };
}
