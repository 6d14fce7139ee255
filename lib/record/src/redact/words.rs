//! Which names of fields speak of a secret.

/// Words that make a field's value a secret.
const SECRET_WORDS: &[&str] = &[
    "token",
    "tokens",
    "password",
    "passwords",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "secrets",
    "credential",
    "credentials",
    "apikey",
    "authorization",
    "cookie",
    "bearer",
    "privatekey",
    "accesskey",
    "signingkey",
    "encryptionkey",
    "sshkey",
    "key",
    "hmac",
];

/// Last words that make a field the name of a secret or a fact about it, not its value.
const REFERENCE_WORDS: &[&str] = &[
    "ref",
    "refs",
    "reference",
    "name",
    "names",
    "namespace",
    "id",
    "ids",
    "type",
    "kind",
    "path",
    "url",
    "uri",
    "count",
    "length",
    "size",
    "policy",
    "selector",
    "provider",
    "version",
    "expiry",
    "expires",
    "at",
    "seconds",
    "ttl",
    "enabled",
    "required",
    "rotation",
    "algorithm",
    "usage",
];

/// True if a field of this name holds a secret: one of its words says so, and its last
/// word does not make it a reference to one. `more` are further names, as words.
pub(super) fn is_secret(name: &str, more: &[Vec<String>]) -> bool {
    let words = words(name);
    let Some(last) = words.last() else {
        return false;
    };
    if more.contains(&words) {
        return true;
    }
    let joined = words.concat();
    let secret = words
        .iter()
        .any(|word| SECRET_WORDS.contains(&word.as_str()))
        || SECRET_WORDS
            .iter()
            .any(|word| word.len() > 5 && joined == *word)
        || more
            .iter()
            .any(|name| words.windows(name.len()).any(|some| some == name));
    secret && (words.len() == 1 || !REFERENCE_WORDS.contains(&last.as_str()))
}

/// True if what a field of this name holds are names of things (`secretKeyRef`, `selector`).
pub(super) fn is_reference(name: &str) -> bool {
    words(name)
        .last()
        .is_some_and(|last| matches!(last.as_str(), "ref" | "refs" | "reference" | "selector"))
}

/// `webhookSigning_secretV2` → webhook, signing, secret, v2.
pub(super) fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before = ' ';
    let mut letters = name.chars().take(256).peekable();
    while let Some(letter) = letters.next() {
        let next_is_lower = letters.peek().is_some_and(|next| next.is_lowercase());
        let begins = !before.is_alphanumeric()
            || (letter.is_uppercase() && (!before.is_uppercase() || next_is_lower));
        if letter.is_alphanumeric() {
            if begins {
                words.push(String::new());
            }
            if let Some(word) = words.last_mut() {
                word.extend(letter.to_lowercase());
            }
        }
        before = letter;
    }
    words
}
