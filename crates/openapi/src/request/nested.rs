//! Lists inside of lists, as Swagger 2.0 writes them: each `items` has a `collectionFormat` of its own.

use wire::json::{Json, Kind};

use super::{Refusal, value};
use crate::model::Style;

/// A list in which the lists inside are texts, written by `styles` from the outside to the inside. What
/// is no list of lists stays as it is.
pub(super) fn joined(json: &Json, styles: &[Style]) -> Result<Json, Refusal> {
    let Some(elements) = json.elements() else { return Ok(json.clone()) };
    let mut out = vec![b'['];
    for (at, element) in elements.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        match styles.split_first().filter(|_| element.kind() == Kind::Array) {
            Some((style, deeper)) => {
                wire::json::write_string(&mut out, &text(element, *style, deeper)?);
            }
            None => out.extend_from_slice(element.as_bytes()),
        }
    }
    out.push(b']');
    Ok(Json::trusted(out))
}

/// A list as one text, with what its style has between the elements.
fn text(list: &Json, style: Style, deeper: &[Style]) -> Result<String, Refusal> {
    let between = match style {
        Style::SpaceDelimited => ' ',
        Style::PipeDelimited => '|',
        Style::TabDelimited => '\t',
        _ => ',',
    };
    let list = joined(list, deeper)?;
    let mut out = String::new();
    let elements = list.elements().unwrap_or_default();
    for (at, element) in elements.iter().filter_map(value::text).enumerate() {
        if element.contains(between) {
            let problem = format!(
                "`{element}` has `{between}` in it, which separates the elements of its list when it \
                 is sent"
            );
            return Err(Refusal::new(problem, format!("leave `{between}` out")));
        }
        if at > 0 {
            out.push(between);
        }
        out.push_str(&element);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_has_its_delimiter() {
        let json = Json::trusted(r#"[[["a b",1],[true]],["x"],7,{"k":[1]},[]]"#);
        let styles = [Style::PipeDelimited, Style::Simple];
        let text = joined(&json, &styles).unwrap();
        assert_eq!(text.as_str(), r#"["a b,1|true","x",7,{"k":[1]},""]"#);
        for (list, styles) in [
            (r#"[["a|b"]]"#, &[Style::PipeDelimited][..]),
            (r#"[[["a"],["b","c"]]]"#, &[Style::Simple, Style::Simple]),
        ] {
            assert!(joined(&Json::trusted(list.to_owned()), styles).is_err(), "{list}");
        }
        assert_eq!(joined(&Json::trusted("3"), &styles).unwrap().as_str(), "3");
    }
}
