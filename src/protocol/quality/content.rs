//! The content check of [`MemoryQuality`](crate::protocol::MemoryQuality).

/// Characters that a strict check requires.
const SHORT: usize = 40;
/// Texts that mark unfinished content.
const UNFINISHED: [&str; 4] = ["lorem ipsum", "todo", "tbd", "[placeholder]"];

/// Returns the faults of a text, in words for its author. Ignores case.
pub(super) fn faults(content: &str, content_type: &str, strict: bool) -> Vec<&'static str> {
    let text = content.trim().to_lowercase();
    let mut faults = Vec::new();
    if text.is_empty() {
        return vec!["it is empty"];
    }
    if UNFINISHED.iter().any(|mark| text.contains(mark)) {
        faults.push("it is unfinished");
    }
    let lines: Vec<_> = text
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect();
    let mut distinct = lines.clone();
    distinct.sort_unstable();
    distinct.dedup();
    if lines.len() > distinct.len() {
        faults.push("it repeats itself");
    }
    if content_type == "action_plan" && lines.len() < 2 {
        faults.push("a plan has more than one step");
    }
    if content_type == "data_analysis" && !text.contains(|c: char| c.is_ascii_digit()) {
        faults.push("an analysis of data has figures");
    }
    if strict && text.chars().count() < SHORT {
        faults.push("it is short");
    }
    faults
}

#[cfg(all(test, not(any(laneway_loom, laneway_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn r044_content_is_looked_at_as_what_it_is() {
        let faults = |text: &str, of: &'static str, strict| faults(text, of, strict).len();
        assert_eq!(faults(" ", "general", false), 1);
        assert_eq!(faults("fine", "general", false), 0);
        assert_eq!(faults("fine", "general", true), 1);
        assert_eq!(faults("TODO", "general", false), 1);
        assert_eq!(faults("one\ntwo\none", "general", false), 1);
        assert_eq!(faults("just do it", "action_plan", false), 1);
        assert_eq!(faults("first\nthen", "action_plan", false), 0);
        assert_eq!(faults("many", "data_analysis", false), 1);
        assert_eq!(faults("17 of 20", "data_analysis", false), 0);
    }
}
