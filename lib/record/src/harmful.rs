//! Characters that no door shows as they come. What a refused object said, a user's name or
//! a policy's text may hold any of them. Each door escapes them in its own way; which they
//! are is said here, once.
//!
//! | characters | why |
//! |---|---|
//! | `Cc`: C0, DEL, C1 | terminals obey them: they clear the screen, write over lines, set titles, answer on the keyboard's behalf |
//! | U+2028, U+2029 | end a line where a program that reads line by line does not expect one |
//! | U+FFF9 to U+FFFB | interlinear annotation: text that may be shown elsewhere, or not at all |
//! | all of Unicode's property `Default_Ignorable_Code_Point` | shown as nothing: they turn the writing direction (U+202E, U+2066), stand in a name that then looks like another's (soft hyphen, joiners, fillers, variation selectors), or carry a text that only programs read (tags) |
//!
//! Variation selectors are among them, also U+FE0F, which makes `⚠` a coloured picture: it
//! is shown as an escape, because two user names that differ in it alone look the same.
//!
//! What is not: white space that is seen as a gap (no-break, wide, thin), combining marks
//! and letters that resemble others. They are seen, and living scripts need them.

use std::ops::RangeInclusive;

/// The characters, in order. `Default_Ignorable_Code_Point` is that of Unicode 16
/// (DerivedCoreProperties.txt), which keeps whole ranges for characters to come.
pub const HARMFUL: [RangeInclusive<char>; 19] = [
    '\0'..='\u{1f}',
    '\u{7f}'..='\u{9f}',
    // Soft hyphen.
    '\u{ad}'..='\u{ad}',
    // Combining grapheme joiner.
    '\u{34f}'..='\u{34f}',
    // Arabic letter mark.
    '\u{61c}'..='\u{61c}',
    // Hangul fillers.
    '\u{115f}'..='\u{1160}',
    // Khmer vowels that are not written.
    '\u{17b4}'..='\u{17b5}',
    // Mongolian variation selectors and vowel separator.
    '\u{180b}'..='\u{180f}',
    // Zero width, and marks of direction.
    '\u{200b}'..='\u{200f}',
    // Separators of lines and paragraphs; embeddings and overrides.
    '\u{2028}'..='\u{202e}',
    // Word joiner, invisible operators, isolates.
    '\u{2060}'..='\u{206f}',
    // Hangul filler.
    '\u{3164}'..='\u{3164}',
    // Variation selectors.
    '\u{fe00}'..='\u{fe0f}',
    // Byte order mark.
    '\u{feff}'..='\u{feff}',
    // Half width filler of Hangul.
    '\u{ffa0}'..='\u{ffa0}',
    // Unassigned, and interlinear annotation.
    '\u{fff0}'..='\u{fffb}',
    // Controls of shorthand; of music.
    '\u{1bca0}'..='\u{1bca3}',
    '\u{1d173}'..='\u{1d17a}',
    // Tags, and further variation selectors.
    '\u{e0000}'..='\u{e0fff}',
];

/// Would a terminal obey this, or hide with it?
#[must_use]
pub fn is_harmful(c: char) -> bool {
    if c < '\u{ad}' {
        return c.is_control();
    }
    HARMFUL
        .iter()
        .take_while(|range| *range.start() <= c)
        .any(|range| c <= *range.end())
}

#[cfg(test)]
mod tests {
    use super::{HARMFUL, is_harmful};

    #[test]
    fn every_character_of_the_list_is_harmful_and_no_other() {
        let listed = |c: char| HARMFUL.iter().any(|range| range.contains(&c));
        for c in '\0'..=char::MAX {
            assert_eq!(is_harmful(c), listed(c), "{c:?}");
            assert!(!c.is_control() || listed(c), "{c:?}");
        }
        assert!(HARMFUL.is_sorted_by(|one, next| one.end() < next.start()));
        for c in [
            '\u{ad}',
            '\u{180e}',
            '\u{202e}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{e0041}',
        ] {
            assert!(is_harmful(c), "{c:?}");
        }
        for c in " \u{a0}\u{3000}äé日ا\u{301}ᄀ👩€".chars() {
            assert!(!is_harmful(c), "{c:?}");
        }
    }
}
