//! What Docker's client 28.2.2 printed for the same templates.

use super::{MissingKey, Object, Template, Value};
use std::rc::Rc;

#[derive(Debug)]
struct Entry;

impl Object for Entry {
    fn type_name(&self) -> &str {
        "*formatter.ContainerContext"
    }

    fn arity(&self, method: &str) -> Option<usize> {
        match method {
            "ID" | "Names" | "Ports" => Some(0),
            "Label" => Some(1),
            _ => None,
        }
    }

    fn call(&self, method: &str, args: &[Value]) -> Result<Value, String> {
        Ok(match (method, args) {
            ("ID", _) => Value::str("789d3fced695"),
            ("Names", _) => Value::str("clitest"),
            ("Ports", _) => Value::str("80->80/tcp"),
            ("Label", [Value::Str(name)]) if &**name == "a" => Value::str("b"),
            _ => Value::str(""),
        })
    }

    fn names(&self) -> Vec<&'static str> {
        vec!["ID", "Names", "Ports"]
    }
}

fn run(text: &str, data: &Value, missing: MissingKey) -> String {
    match Template::parse(text).and_then(|t| t.execute(data, missing)) {
        Ok(out) => out,
        Err(e) => format!("! {e}"),
    }
}

#[test]
fn list_entries_give_what_docker_gives() {
    let entry = Value::Object(Rc::new(Entry));
    for (text, want) in [
        (
            "{{.Foo}}",
            "! template: :1:2: executing \"\" at <.Foo>: can't evaluate field Foo in type *formatter.ContainerContext",
        ),
        ("{{.ID", "! template: :1: unclosed action"),
        ("{{foo}}", "! template: :1: function \"foo\" not defined"),
        ("{{.ID.x}}", "! template: :1:5: executing \"\" at <.ID.x>: can't evaluate field x in type string"),
        ("{{if}}", "! template: :1: missing value for if"),
        ("{{end}}", "! template: :1: unexpected {{end}}"),
        ("{{.Label \"a\"}}", "b"),
        (
            "{{.Label}}",
            "! template: :1:2: executing \"\" at <.Label>: wrong number of args for Label: want 1 got 0",
        ),
        ("{{json .}}", "{\"ID\":\"789d3fced695\",\"Names\":\"clitest\",\"Ports\":\"80-\\u003e80/tcp\"}"),
        ("{{json .Ports}}", "\"80->80/tcp\""),
        ("{{ .ID | printf \"%s-%d\" }}", "789d3fced695-%!d(MISSING)"),
        ("{{printf \"%d\" .ID}}", "%!d(string=789d3fced695)"),
        (
            "{{upper .ID}} {{len .ID}} {{truncate .ID 3}} {{pad .Names 1 1}}|",
            "789D3FCED695 12 789  clitest |",
        ),
        ("{{nil}}", "! template: :1:2: executing \"\" at <nil>: nil is not a command"),
        (
            "{{index .ID 99}}",
            "! template: :1:2: executing \"\" at <index .ID 99>: error calling index: index out of range: 99",
        ),
        ("{{$x := .ID}}{{$x}}", "789d3fced695"),
        ("{{$y}}", "! template: :1: undefined variable \"$y\""),
        ("{{.ID | len | eq 12}}", "true"),
        (
            "{{template \"x\"}}",
            "! template: :1:11: executing \"\" at <{{template \"x\"}}>: template \"x\" not defined",
        ),
        ("{{define \"x\"}}d{{.}}{{end}}{{template \"x\" .ID}}", "d789d3fced695"),
        ("{{break}}", "! template: :1: {{break}} outside {{range}}"),
        ("{{1 | 2}}", "! template: :1: non executable command in pipeline stage 2"),
        (
            "{{.ID \"a\"}}",
            "! template: :1:2: executing \"\" at <.ID>: wrong number of args for ID: want 0 got 1",
        ),
        (
            "{{json 1 2}}",
            "! template: :1:2: executing \"\" at <json>: wrong number of args for json: want 1 got 2",
        ),
        ("{{split .Names \"l\"}}", "[c itest]"),
        ("{{join (split .Names \"l\") \"/\"}}", "c/itest"),
        ("{{title .Names}}", "Clitest"),
        ("{{slice .ID 1 3}}", "89"),
        ("{{println .ID}}", "789d3fced695\n"),
        ("{{html \"<a>\"}}{{js \"<a>\"}}{{urlquery \"a b\"}}", "&lt;a&gt;\\u003Ca\\u003Ea+b"),
        (
            "{{eq 1 \"a\"}}",
            "! template: :1:2: executing \"\" at <eq 1 \"a\">: error calling eq: incompatible types for comparison",
        ),
        ("{{lt 1 2}} {{and 1 0}} {{or 0 2}} {{not 1}}", "true 0 2 false"),
        ("{{\"a\\tb\"}} {{'a'}} {{1.5}} {{0x10}} {{1e3}}", "a\tb 97 1.5 16 1000"),
        ("{{\"unterminated}}", "! template: :1: unterminated quoted string"),
        ("{{/* c */}}x", "x"),
        ("a {{- .ID -}} x", "a789d3fced695x"),
        ("{{.ID}", "! template: :1: bad character U+007D '}'"),
        ("{{ .ID }} }}", "789d3fced695 }}"),
        ("{{ .ID | }}", "789d3fced695"),
        ("{{if .ID}}a{{else if .Foo}}b{{else}}c{{end}}", "a"),
        (
            "{{range $i, $e := split .ID \"d\"}}{{if eq $i 1}}{{continue}}{{end}}{{$i}}={{$e}};{{end}}",
            "0=789;2=695;",
        ),
        ("{{range split \"abc\" \"\"}}{{if eq . \"c\"}}{{break}}{{end}}{{.}}{{else}}none{{end}}", "ab"),
        ("{{range 3}}{{.}}{{end}}", "012"),
        ("{{with $n := .Names}}{{$n}}{{.}}{{else with .ID}}x{{end}}", "clitestclitest"),
        ("{{(index (split .Names \"t\") 0)}}", "cli"),
        ("{{print 1 2 \"x\" 3}} {{println}}", "1 2x3 \n"),
        ("{{block \"b\" .Names}}<{{.}}>{{end}}", "<clitest>"),
        (
            "line\n{{.Foo}}",
            "! template: :2:2: executing \"\" at <.Foo>: can't evaluate field Foo in type *formatter.ContainerContext",
        ),
    ] {
        assert_eq!(run(text, &entry, MissingKey::NoValue), want, "{text}");
    }
}

#[test]
fn raw_json_is_maps_in_which_missing_keys_are_errors() {
    let json = serde_json::json!({"Id": "x", "State": {"Running": true, "Pid": 12, "Health": null},
        "Args": ["a", "b"], "Labels": {}});
    let data = Value::from_json(&json);
    for (text, want) in [
        ("{{.State}}", "map[Health:<nil> Pid:12 Running:true]"),
        (
            "{{.State.Foo}}",
            "! template: :1:8: executing \"\" at <.State.Foo>: map has no entry for key \"Foo\"",
        ),
        ("{{.Foo}}", "! template: :1:2: executing \"\" at <.Foo>: map has no entry for key \"Foo\""),
        ("{{.State.Health}}", "<no value>"),
        ("{{json .State}}", "{\"Health\":null,\"Pid\":12,\"Running\":true}"),
        ("{{.Args}} {{len .Args}} {{index .Args 1}}", "[a b] 2 b"),
        ("{{range $k, $v := .State}}{{$k}}={{$v}},{{end}}", "Health=<no value>,Pid=12,Running=true,"),
        ("{{if .Labels}}y{{else}}n{{end}}", "n"),
        ("{{index .Labels \"zz\"}}", "<no value>"),
    ] {
        assert_eq!(run(text, &data, MissingKey::Error), want, "{text}");
    }
    assert_eq!(run("{{.Foo}} {{.Foo.Bar}}", &data, MissingKey::NoValue), "<no value> <no value>");
}

#[test]
fn no_text_makes_the_parser_panic() {
    let seeds = [
        "{{", "}}", "{{-", "-}}", "$", ".", "(", ")", "|", "\"", "`", "'", "if", "end", "range", "x", " ",
        "1", ":=", ",", "é", "/*", "*/",
    ];
    let mut state = 42u64;
    for _ in 0..20_000 {
        let mut text = String::from("{{");
        for _ in 0..8 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push_str(seeds[(state >> 33) as usize % seeds.len()]);
        }
        let _ = run(&text, &Value::str("x"), MissingKey::Error);
    }
}
