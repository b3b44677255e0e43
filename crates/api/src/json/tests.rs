use super::{Error, Values, from_body, from_slice, to_line};
use crate::types::{ContainerCreateRequest, ContainerState, HostConfig};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Sample {
    name: String,
    count: i64,
    small: u16,
    on: bool,
    list: Option<Vec<String>>,
    map: BTreeMap<String, String>,
    inner: Inner,
    pair: [u32; 2],
    ratio: f64,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Inner {
    value: String,
}

fn read(text: &str) -> Sample {
    from_slice(text.as_bytes()).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn message(text: &str) -> String {
    from_slice::<Sample>(text.as_bytes()).expect_err(text).to_string()
}

#[test]
fn keys_are_read_in_any_case_and_the_last_one_wins() {
    assert_eq!(read(r#"{"NAME":"a","name":"b"}"#).name, "b");
    assert_eq!(read(r#"{"Name":"a","nAme":"b","unknown":{"x":[1,2,{"y":null}]}}"#).name, "b");
    assert_eq!(read(r#"{"inner":{"VALUE":"x"}}"#).inner.value, "x");
    assert_eq!(read("{\"\u{17f}mall\":7}").small, 7);
}

#[test]
fn null_is_the_default_everywhere() {
    let nulls = r#"{"Name":null,"Count":null,"Small":null,"On":null,"List":null,"Map":null,
        "Inner":null,"Pair":null,"Ratio":null}"#;
    assert_eq!(read(nulls), Sample::default());
    assert_eq!(read("null"), Sample::default());
    assert_eq!(read(r#"{"Name":"a","Name":null}"#).name, "a");
    assert_eq!(read(r#"{"List":["a",null]}"#).list, Some(vec!["a".into(), String::new()]));
    assert_eq!(read(r#"{"Map":{"a":null}}"#).map["a"], "");
}

#[test]
fn arrays_of_a_fixed_length_are_filled_and_cut() {
    assert_eq!(read(r#"{"Pair":[1]}"#).pair, [1, 0]);
    assert_eq!(
        read(r#"{"Pair":[1,2,3,[4]],"Name":"x"}"#),
        Sample { pair: [1, 2], name: "x".into(), ..Sample::default() }
    );
    assert_eq!(read(r#"{"Pair":[]}"#).pair, [0, 0]);
}

#[test]
fn strings_are_unescaped_and_broken_ones_replaced() {
    assert_eq!(read(r#"{"Name":"a\"\\\/\b\f\n\r\té😀"}"#).name, "a\"\\/\u{8}\u{c}\n\r\té😀");
    assert_eq!(read(r#"{"Name":"\ud83dx\udc00"}"#).name, "\u{fffd}x\u{fffd}");
    assert_eq!(from_slice::<Sample>(b"{\"Name\":\"\xff\"}").unwrap().name, "\u{fffd}");
    assert_eq!(from_slice::<Sample>(b"{\"Name\":\"\xff\\n\"}").unwrap().name, "\u{fffd}\n");
}

#[test]
fn errors_of_syntax_are_in_the_words_of_go() {
    for (text, expected) in [
        ("", "unexpected end of JSON input"),
        ("{", "unexpected end of JSON input"),
        (r#"{"a":tru"#, "unexpected end of JSON input"),
        ("x", "invalid character 'x' looking for beginning of value"),
        ("{x}", "invalid character 'x' looking for beginning of object key string"),
        (r#"{"a" 1}"#, "invalid character '1' after object key"),
        (r#"{"a":1 "b"}"#, "invalid character '\"' after object key:value pair"),
        (r#"{"a":1,}"#, "invalid character '}' looking for beginning of object key string"),
        ("[1 2]", "invalid character '2' after array element"),
        ("[1,]", "invalid character ']' looking for beginning of value"),
        ("{} {}", "invalid character '{' after top-level value"),
        ("1 2", "invalid character '2' after top-level value"),
        ("trux", "invalid character 'x' in literal true (expecting 'e')"),
        ("-x", "invalid character 'x' in numeric literal"),
        ("1.x", "invalid character 'x' after decimal point in numeric literal"),
        ("1ex", "invalid character 'x' in exponent of numeric literal"),
        ("01", "invalid character '1' after top-level value"),
        ("\"a\nb\"", "invalid character '\\n' in string literal"),
        (r#""\x""#, "invalid character 'x' in string escape code"),
        (r#""\u00g0""#, "invalid character 'g' in \\u hexadecimal character escape"),
        ("'a'", "invalid character '\\'' looking for beginning of value"),
        ("\u{1}", "invalid character '\\x01' looking for beginning of value"),
    ] {
        assert_eq!(message(text), expected, "{text}");
    }
}

#[test]
fn errors_of_type_tell_the_field() {
    for (text, expected) in [
        ("[]", "json: cannot unmarshal array into Go value of type Sample"),
        (r#"{"count":"x"}"#, "json: cannot unmarshal string into Go struct field Sample.Count of type int64"),
        (
            r#"{"Count":1.5}"#,
            "json: cannot unmarshal number 1.5 into Go struct field Sample.Count of type int64",
        ),
        (
            r#"{"Small":65536}"#,
            "json: cannot unmarshal number 65536 into Go struct field Sample.Small of type uint16",
        ),
        (r#"{"On":1}"#, "json: cannot unmarshal number into Go struct field Sample.On of type bool"),
        (
            r#"{"Inner":{"Value":[]}}"#,
            "json: cannot unmarshal array into Go struct field Sample.Inner.Value of type string",
        ),
    ] {
        assert_eq!(message(text), expected, "{text}");
    }
}

#[test]
fn deep_nesting_neither_overflows_the_stack_nor_is_taken() {
    assert_eq!(message(&"[".repeat(1_000_000)), "exceeded max depth");
    let deep = format!("{{\"unknown\":{}{}}}", "[".repeat(9_000), "]".repeat(9_000));
    assert_eq!(read(&deep), Sample::default());
    let free = format!("{}{}", "[".repeat(9_000), "]".repeat(9_000));
    assert!(from_slice::<serde_json::Value>(free.as_bytes()).is_err());
}

#[test]
fn bodies_are_read_as_dockerd_reads_them() {
    let error = |body: &[u8]| from_body::<Sample>(body).unwrap_err().to_string();
    assert_eq!(error(b""), "invalid JSON: got EOF while reading request body");
    assert_eq!(error(b" \n"), "invalid JSON: got EOF while reading request body");
    assert_eq!(error(b"{\"Name\":"), "invalid JSON: unexpected EOF");
    assert_eq!(
        error(b"{nope"),
        "invalid JSON: invalid character 'n' looking for beginning of object key string"
    );
    assert_eq!(error(b"{} trailing"), "unexpected content after JSON");
    assert_eq!(from_body::<Sample>(b" {\"Name\":\"a\"}\n\n").unwrap().name, "a");
    assert_eq!(from_body::<i64>(b"12").unwrap(), 12);
    assert_eq!(from_body::<i64>(b"12 ").unwrap(), 12);
}

#[test]
fn a_create_request_is_one_object_in_any_case() {
    let request: ContainerCreateRequest = from_slice(
        br#"{"image":"i","CMD":"echo","Env":null,"labels":{"a":null},"hostconfig":{"memory":5,
            "Init":true,"PortBindings":{"80/tcp":null,"81/udp":[{"hostip":"","HostPort":"8"}]}},
            "Healthcheck":{"TEST":["NONE"]},"NetworkingConfig":{"EndpointsConfig":{"bridge":null}},
            "ExposedPorts":{"80/tcp":{}},"Entrypoint":[]}"#,
    )
    .unwrap();
    let host = request.host_config.unwrap();
    assert_eq!(request.config.image, "i");
    assert_eq!(request.config.cmd.unwrap().0, ["echo"]);
    assert_eq!(request.config.entrypoint.unwrap().0, Vec::<String>::new());
    assert_eq!(request.config.env, None);
    assert_eq!(request.config.labels.unwrap()["a"], "");
    assert_eq!(request.config.healthcheck.unwrap().test.unwrap(), ["NONE"]);
    assert_eq!((host.memory, host.init), (5, Some(true)));
    let ports = host.port_bindings.unwrap();
    assert_eq!(ports["80/tcp"], None);
    assert_eq!(ports["81/udp"].as_ref().unwrap()[0].host_port, "8");
    assert_eq!(request.networking_config.unwrap().endpoints_config.unwrap()["bridge"], None);
}

#[test]
fn a_create_request_survives_both_ways() {
    let mut request = ContainerCreateRequest::default();
    request.config.image = "busybox".into();
    request.config.cmd = Some(["a", "<b>&"].into_iter().collect());
    request.host_config = Some(HostConfig { memory: 7, ..HostConfig::default() });
    let line = to_line(&request).unwrap();
    let text = String::from_utf8(line.clone()).unwrap();
    assert!(text.contains(r"\u003cb\u003e\u0026") && text.ends_with("}\n"), "{text}");
    assert_eq!(from_slice::<ContainerCreateRequest>(&line).unwrap(), request);
    assert_eq!(serde_json::from_slice::<ContainerCreateRequest>(&line).unwrap(), request);
    let wrong = from_slice::<ContainerCreateRequest>(br#"{"HostConfig":{"Memory":"1g"}}"#);
    assert_eq!(
        wrong.unwrap_err().to_string(),
        "json: cannot unmarshal string into Go struct field CreateRequest.HostConfig.Memory of type int64"
    );
}

#[test]
fn times_are_read_from_go() {
    let state: ContainerState =
        from_slice(br#"{"StartedAt":"2024-01-01T00:00:00.5Z","FinishedAt":null}"#).unwrap();
    assert_eq!(state.started_at.to_string(), "2024-01-01T00:00:00.5Z");
    assert!(state.finished_at.is_zero());
    assert!(from_slice::<ContainerState>(br#"{"StartedAt":"never"}"#).is_err());
}

#[test]
fn a_stream_is_split_into_values_however_it_arrives() {
    let text = b"{\"Name\":\"a\"}{\"Name\":\"b\"}\r\n\n {\"Name\":\"c\"}\n";
    for size in 1..text.len() {
        let mut values = Values::new();
        let mut names = Vec::new();
        for chunk in text.chunks(size) {
            values.feed(chunk);
            while let Some(value) = values.next_value::<Sample>().unwrap() {
                names.push(value.name);
            }
        }
        assert_eq!(names, ["a", "b", "c"]);
        assert!(values.finish::<Sample>().unwrap().is_none());
    }
    let mut values = Values::new();
    values.feed(b"{\"Name\"");
    assert!(values.next_value::<Sample>().unwrap().is_none());
    assert!(matches!(values.finish::<Sample>(), Err(Error::UnexpectedEof)));
}
