//! Forms for clients of 2025-06-18: one choice among named values has another spelling there, and
//! choosing several does not exist.

use crate::json::{Edit, Json, Object, write_string};

/// The `requestedSchema` as 2025-06-18 knows it. Fails with what it cannot show.
pub(super) fn before_2025_11_25(schema: &Object) -> Result<Json, &'static str> {
    let Some(properties) = schema.object("properties") else {
        return Ok(schema.to_json(&[Edit::remove("$schema")]));
    };
    let mut out = vec![b'{'];
    for (name, property) in properties.members() {
        if out.len() > 1 {
            out.push(b',');
        }
        write_string(&mut out, &name);
        out.push(b':');
        match property.object() {
            Some(property) => write_property(&mut out, &property)?,
            None => return Err("a field of the form has no schema"),
        }
    }
    out.push(b'}');
    Ok(schema.to_json(&[Edit::remove("$schema"), Edit::set("properties", &out)]))
}

fn write_property(out: &mut Vec<u8>, property: &Object) -> Result<(), &'static str> {
    if property.text("type").as_deref() == Some("array") {
        return Err("the form lets choose several values: that came with 2025-11-25");
    }
    let Some(choices) = property.get("oneOf").and_then(|choices| choices.elements()) else {
        property.splice(&[], out);
        return Ok(());
    };
    let (mut values, mut names) = (vec![b'['], vec![b'[']);
    for choice in choices {
        let value = choice.object().and_then(|choice| choice.get("const"));
        let value = value.ok_or("a choice of the form has no `const`")?;
        let title = choice.object().and_then(|choice| choice.get("title"));
        for (list, entry) in [(&mut values, &value), (&mut names, title.as_ref().unwrap_or(&value))]
        {
            if list.len() > 1 {
                list.push(b',');
            }
            list.extend_from_slice(entry.as_bytes());
        }
    }
    values.push(b']');
    names.push(b']');
    let edits = [Edit::remove("oneOf"), Edit::set("enum", &values), Edit::set("enumNames", &names)];
    property.splice(&edits, out);
    Ok(())
}
