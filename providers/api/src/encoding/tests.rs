use super::*;

/// Digests with salts that count: 00…01, 00…02.
fn digests() -> impl FnMut(&Value) -> Digest {
    let mut last = 0;
    move |value| {
        last += 1;
        digest(value, [last; 16])
    }
}

/// Through redaction and the text of a file and back.
fn stored(value: &Value) -> Value {
    let encoded = Encoded::of(&redact(value, &mut digests())).expect("redacted");
    let text = serde_json::to_string(&encoded).expect("JSON");
    let encoded: Encoded = serde_json::from_str(&text).expect(&text);
    encoded.decode().expect(&text)
}

#[test]
fn what_is_known_and_not_sensitive_comes_back() {
    let number = |text: &str| Value::from(text.parse::<Number>().expect(text));
    for (name, value) in [
        ("null", Value::NULL),
        ("truth", true.into()),
        ("whole", 7u64.into()),
        ("negative", (-7i64).into()),
        ("beyond 64 bits", number("123456789012345678901234567890")),
        ("a fraction that binary lacks", number("0.1")),
        ("text", "a \"quoted\" \u{1F681}\n".into()),
        ("empty tuple", Value::tuple([])),
        ("nested null", Value::tuple([Value::NULL, 1u64.into()])),
        (
            "keys that look like marks",
            Value::object([
                ("$unknown", Value::from("x")),
                ("sensitive", true.into()),
                ("", 1u64.into()),
            ]),
        ),
        (
            "the key by which serde_json hides a number",
            Value::object([("$serde_json::private::Number", Value::from("5"))]),
        ),
        (
            "dollars",
            Value::object([("$", Value::from("1")), ("$$", Value::from("2"))]),
        ),
    ] {
        assert_eq!(stored(&value), value, "{name}");
    }
}

#[test]
fn sequences_come_back_as_tuples_and_maps_as_objects() {
    let items = Arc::new(vec![Value::from(1u64)]);
    let fields: Arc<BTreeMap<Arc<str>, Value>> = Arc::new([("a".into(), 1u64.into())].into());
    for value in [Data::List(items.clone()), Data::Set(items.clone())] {
        assert_eq!(stored(&value.into()), Value::tuple([1u64.into()]));
    }
    assert_eq!(stored(&Data::Map(fields).into()), Value::object([("a", 1u64.into())]));
}

#[test]
fn unknown_keeps_place_origin_and_mark() {
    let value = Value::object([
        ("a", Value::tuple([1u64.into(), Value::unknown("node.a.address")])),
        ("b", Value::unknown("node.b.key").mark(true)),
    ]);
    let back = stored(&value);
    assert_eq!(back, value);
    let item = &back.get("a").and_then(Value::as_slice).expect("a tuple")[1];
    assert_eq!(item.unknown_origin(), Some("node.a.address"));
    assert!(back.get("b").expect("b").is_sensitive());
}

#[test]
fn a_secret_comes_back_as_a_digest_that_matches_it_only() {
    let secret = Value::from("hunter2").mark(true);
    let back = stored(&Value::object([("password", secret.clone()), ("user", "ann".into())]));
    assert_eq!(back.get("user"), Some(&Value::from("ann")));
    let password = back.get("password").expect("kept");
    assert!(password.is_sensitive());
    let Data::Redacted(digest) = password.data() else {
        panic!("not redacted: {password:?}");
    };
    assert!(digest_matches(digest, &secret));
    assert!(
        digest_matches(digest, &secret.clone().unmarked()),
        "the mark does not count"
    );
    assert!(digest_matches(digest, password), "a digest is itself");
    assert!(!digest_matches(digest, &"hunter3".into()));
    assert!(!digest_matches(digest, &Value::unknown("x")));
    assert_eq!(stored(&back), back, "storing it again changes nothing");
}

#[test]
fn what_is_redacted_is_revealed_where_it_can_be() {
    let value = Value::object([
        ("a", Value::from("one").mark(true)),
        ("b", Value::tuple([Value::from("two").mark(true), 3u64.into()])),
    ]);
    let mut sealed = |value: &Value| Digest {
        sealed: value.as_str().filter(|text| *text == "two").map(Into::into),
        ..digest(value, [0; 16])
    };
    let redacted = redact(&value, &mut sealed);
    let revealed = reveal(&redacted, &mut |digest| digest.sealed.as_deref().map(Value::from));
    assert_eq!(revealed.get("b"), value.get("b"));
    assert!(revealed.get("b").expect("kept").has_sensitive(), "it is still a secret");
    assert_eq!(
        revealed.get("a"),
        redacted.get("a"),
        "what was not sealed stays a digest"
    );
}

#[test]
fn a_digest_ignores_how_a_number_or_a_sequence_was_written() {
    let one = Value::tuple(["1.50".parse::<Number>().expect("number").into()]);
    let other: Value = Data::List(Arc::new(vec!["1.5".parse::<Number>().expect("number").into()])).into();
    assert!(digest_matches(&digest(&one, [3; 16]), &other));
}

#[test]
fn equal_secrets_have_different_digests() {
    let secret = Value::from("s").mark(true);
    let back = stored(&Value::tuple([secret.clone(), secret]));
    let items = back.as_slice().expect("a tuple");
    assert_ne!(items[0], items[1]);
}

#[test]
fn a_sensitive_value_that_is_partly_unknown_hides_its_shape() {
    let value = Value::object([("key", Value::unknown("node.a.id"))]).mark(true);
    let back = stored(&value);
    assert!(back.is_unknown() && back.is_sensitive());
    assert_eq!(back.unknown_origin(), Some("node.a.id"));
}

#[test]
fn a_secret_in_the_clear_is_refused_with_its_path() {
    let value = Value::object([("env", Value::object([("A B", Value::from("s").mark(true))]))]);
    let error = Encoded::of(&value).expect_err("in the clear");
    assert_eq!(
        error.to_string(),
        "the value at `env[\"A B\"]` is sensitive and was not redacted"
    );
}

#[test]
fn a_document_that_does_not_fit_its_marks_is_an_error() {
    let path = Path::attribute("gone");
    let encoded = Encoded {
        value: serde_json::json!({}),
        unknown: vec![UnknownAt {
            path: path.clone(),
            origin: "x".into(),
            sensitive: false,
        }],
        sensitive: Vec::new(),
    };
    assert_eq!(encoded.decode(), Err(EncodingError::Dangling { path }));
}

#[test]
fn attributes_come_back_without_nulls() {
    let attributes: Attributes = [("a", Value::from(1u64)), ("b", Value::NULL)].into_iter().collect();
    let encoded = Encoded::of_attributes(&attributes).expect("nothing is sensitive");
    assert_eq!(encoded.value, serde_json::json!({ "a": 1 }));
    assert_eq!(encoded.decode_attributes(), Ok(attributes));
    let tuple = Encoded::of(&Value::tuple([])).expect("nothing is sensitive");
    assert_eq!(tuple.decode_attributes(), Err(EncodingError::NotAnObject));
}
