use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use hcl_edit::expr::{Array, FuncArgs, Object};
use hcl_edit::structure::{BlockLabel, Body};
use hcl_edit::template::{ElseTemplateExpr, EndifTemplateExpr, IfTemplateExpr};
use hcl_edit::visit_mut::{self, VisitMut};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

use super::scan::scan;
use super::*;

fn formatted(text: &str) -> Result<String, Diagnostic> {
    format(&Arc::new(SourceFile {
        path: "fleet.hcl".into(),
        text: text.to_owned(),
    }))
}

/// What a text is made of but for blanks: kinds and texts of its tokens.
fn tokens(text: &str) -> Vec<(Kind, String)> {
    scan(text)
        .into_iter()
        .map(|token| (token.kind, token.text.to_owned()))
        .collect()
}

/// What a text means: the tree without blanks and comments, and with all labels in quotes.
fn tree(text: &str) -> Body {
    struct Bare;

    impl VisitMut for Bare {
        fn visit_func_args_mut(&mut self, node: &mut FuncArgs) {
            node.set_trailing("");
            visit_mut::visit_func_args_mut(self, node);
        }

        fn visit_array_mut(&mut self, node: &mut Array) {
            node.set_trailing("");
            visit_mut::visit_array_mut(self, node);
        }

        fn visit_object_mut(&mut self, node: &mut Object) {
            node.set_trailing("");
            visit_mut::visit_object_mut(self, node);
        }

        fn visit_if_template_expr_mut(&mut self, node: &mut IfTemplateExpr) {
            node.set_preamble("");
            visit_mut::visit_if_template_expr_mut(self, node);
        }

        fn visit_else_template_expr_mut(&mut self, node: &mut ElseTemplateExpr) {
            node.set_preamble("");
            node.set_trailing("");
            visit_mut::visit_else_template_expr_mut(self, node);
        }

        fn visit_endif_template_expr_mut(&mut self, node: &mut EndifTemplateExpr) {
            node.set_preamble("");
            node.set_trailing("");
        }

        fn visit_block_label_mut(&mut self, node: &mut BlockLabel) {
            *node = BlockLabel::from(node.as_str());
        }
    }

    let mut body = hcl_edit::parser::parse_body(text).expect("it has been parsed before");
    Bare.visit_body_mut(&mut body);
    body
}

/// Texts that were once laid out wrongly somewhere, or could be.
const NASTY: &[(&str, &str)] = &[
    ("nothing", ""),
    ("a comment alone", "  # x"),
    ("no end of line", "a=1"),
    ("lines without anything", "\n   \n\na = 1\n\n\n   \nbb = 2\n\n"),
    ("other ends of lines", "a = 1\r\nbb   = 2 # x\r\nc {\r\nd=1\r\n}\r\n"),
    ("tabs", "\tb {\n\t\ta\t=\t1\t# x\n\t}\n"),
    ("blanks at the end", "a = 1   \nb = 2 # x  \n"),
    (
        "groups",
        "a=1\nbbb=2\n\nc=3\n# between\ndddd=4\ne = [\n1\n]\nff=5\nggg=6 # x\nh=7\ni=8 // y\n",
    ),
    (
        "comments inside",
        "a = /* x */ 1 /* y */\nbb = 2 /* of\n    two lines */\nc = 3\n",
    ),
    (
        "comments that are long",
        "a = 1 # one\n    # two\nlong_name = 2 # three\n\nb = [ # four\n1, # five\n22, # six\n]\n",
    ),
    ("blocks on one line", "b{a=1}\nb{}\nb {   }\nb \"x\"   y{\n}\n"),
    ("labels", "simulator vehicle quad {\nc = 1\n}\nresource \"a\" b {\n}\n"),
    (
        "nested objects",
        "a={b={c=1,dd=2},\"e f\"=[{g=1},{h=2}]}\ni = {\nj=1\nkk:2,\n(l)=3\nm = {\nn=1\n}\n}\n",
    ),
    (
        "brackets that close together",
        "a = foo({\nb=1\n})\nc = [[\n1\n], [\n2\n]]\nd = [{\ne=1\n}, {\nf=1\n}]\n",
    ),
    (
        "an expression over lines",
        "a = (\nb ?\nc :\nd\n)\ne = b == 1 || (\nc\n)\n",
    ),
    (
        "signs",
        "a=-1\nb=1-1\nc=-a\nd=!a\ne=[-1,- 2]\nf=a?-1:-2\ng=(-1)\nh=a*-1\ni=a==-1\nj=foo(-1)\nk=- - 1\nl={a=-1}\n",
    ),
    ("operators", "a=1+2*3/4%5\nb=a>1&&b<2||c>=3&&d<=4\nc=a!=b\nd=a?b:c\n"),
    (
        "calls and paths",
        "a=foo ( b , c ... )\nb=a . b [ 0 ] . c [ \"d\" ] [ * ] . e\nc=a.*.b\nd=a.0.b\ne = [for x in[1]:x]\nf=foo()\ng=provider::x::y(1)\n",
    ),
    (
        "for",
        "a=[for x in y:x if x>1]\nb={for k,v in y:k=>v...}\nc = {\nfor k,v in y:\nk=>v\n}\nd={for k in y:k=>-1}\n",
    ),
    (
        "templates",
        "a=\"x${b+1}y${ c }z\"\nb=\"${~  a ~} x\"\nc=\"$${not} %%{not}\"\nd=\"%{if a}x%{ else }y%{endif}\"\ne=\"${ {a=1}.a }${b}${c}\"\nf=\"\\\"${a}\\\\\"\ng=\"${\"${a} x\"} y\"\n",
    ),
    (
        "heredocs",
        "a = <<EOT\n  keep   this\n\n   ${ b+1 }   and %{if c}that%{ endif }\n  the end is not EOT\nEOT\nbb = <<-EOT\n    x\n    EOT\nccc=1\nd = foo(<<A\nx\nA\n,1)\ne {\nf = <<B\n$${x}\n  B\ng=1\n}\n",
    ),
    ("a template over lines", "a = \"x ${foo(\nb,\n  c\n)}\"\nb = 1\n"),
    (
        "beyond ASCII",
        "é=\"ü\" # ä\nbb = \"日本\"   # x\nc=\"👩‍🚀\" # y\n名前=1\n",
    ),
    ("numbers", "a=1.5\nb=1e3\nc=1.5e-3\nd=[1.5,2e+3]\n"),
    ("quotes as names", "a = {\"b\"=1,\"${c}\"=2}\n"),
];

#[test]
fn nasty_texts() {
    let mut shown = String::new();
    for (name, text) in NASTY {
        let once = formatted(text).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!(formatted(&once).as_ref(), Ok(&once), "{name}");
        assert_eq!(tree(text), tree(&once), "{name}");
        shown.push_str(&format!(
            "==== {name}\n{}\n",
            once.replace('\r', "␍").replace('\t', "␉")
        ));
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn broken_texts_are_refused() {
    for text in [
        "a = ",
        "a {",
        "a = [1\n",
        "a = \"x\nb = 1\n",
        "a = <<EOT\nx\n",
        "}",
        "a = 1 1\n",
        "a = \"${b\"\n",
    ] {
        let error = formatted(text).expect_err(text);
        assert_eq!(error.summary, "Syntax error", "{text:?}");
    }
}

#[test]
fn the_examples_have_the_form() {
    for path in examples() {
        let text = fs::read_to_string(&path).expect("an example can be read");
        assert_eq!(formatted(&text), Ok(text), "{}", path.display());
    }
}

fn examples() -> Vec<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut paths = Vec::new();
    for folder in [folder.clone(), folder.join("modules/px4_pool")] {
        let entries = fs::read_dir(folder).expect("the folder is there");
        paths.extend(
            entries
                .flatten()
                .map(|entry| entry.path())
                .filter(|path| path.extension().is_some_and(|end| end == "hcl")),
        );
    }
    assert!(paths.len() >= 7, "{paths:?}");
    paths
}

/// Values, as they can be nested in each other.
fn values() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "1",
        "-1.5",
        "true",
        "null",
        "\"a b\"",
        "\"x${ y+1 }\"",
        "\"%{if a}b%{endif}\"",
        "a.b[0].c",
        "a[*]",
        "foo( )",
        "!a",
        "\"日本\"",
        "<<E\n a ${b}\nE\n",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(3, 12, 4, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..4);
        // A heredoc ends with its line, so that nothing but a line break can follow it.
        let safe = |texts: Vec<String>| {
            texts
                .into_iter()
                .filter(|text| !text.ends_with('\n'))
                .collect::<Vec<_>>()
        };
        prop_oneof![
            list.clone()
                .prop_map(move |texts| format!("[{}]", safe(texts).join(","))),
            list.clone().prop_map(move |texts| format!(
                "[\n{}\n]",
                safe(texts)
                    .iter()
                    .map(|text| format!("{text}, # c\n"))
                    .collect::<String>()
            )),
            list.clone().prop_map(move |texts| format!(
                "{{\n{}}}",
                texts
                    .iter()
                    .enumerate()
                    .map(|(i, text)| format!("k{i}={}\n", text.trim_end()))
                    .collect::<String>()
            )),
            list.prop_map(move |texts| format!("foo({})", safe(texts).join(" , "))),
            (inner.clone(), inner).prop_map(move |(a, b)| match (a.ends_with('\n'), b.ends_with('\n')) {
                (false, false) => format!("a?{a}:{b}"),
                _ => "a==b".to_owned(),
            }),
        ]
    })
}

/// Bodies with blanks where nobody expects them.
fn bodies() -> impl Strategy<Value = String> {
    let blanks = prop::sample::select(vec!["", " ", "   ", "\t"]);
    let ends = prop::sample::select(vec!["\n", " # comment\n", "  // c\n", "\n\n", " \n  # own line\n"]);
    let attribute = ("[a-z]{1,6}", blanks, values(), ends).prop_map(|(name, blanks, value, end)| {
        let value = value.trim_end_matches('\n');
        let end = if value.ends_with("\nE") { "\n" } else { end };
        (name, format!("{blanks}={blanks}{value}{end}"))
    });
    prop::collection::vec((attribute, any::<bool>()), 0..8).prop_map(|lines| {
        let mut text = String::new();
        for (i, ((name, line), is_block)) in lines.into_iter().enumerate() {
            text.push_str(&match is_block {
                true => format!("b  \"l\"{{\n{name}{line}}}\n"),
                false => format!("{name}_{i}{line}"),
            });
        }
        text
    })
}

proptest! {
    #[test]
    fn to_format_twice_is_to_format_once_and_changes_no_meaning(text in bodies()) {
        let Ok(once) = formatted(&text) else {
            return Err(TestCaseError::fail(format!("it is no fleet: {text}")));
        };
        prop_assert_eq!(formatted(&once), Ok(once.clone()));
        prop_assert_eq!(tokens(&text), tokens(&once));
        prop_assert_eq!(tree(&text), tree(&once));
    }

    /// Whatever the text is, the scanner neither panics nor loses anything but blanks.
    #[test]
    fn nothing_is_lost(text in "[a{}\"$%~ \\n=<E\\-#/*.é\\\\]{0,40}") {
        let kept: String = scan(&text).iter().map(|token| token.text).collect();
        let without_blanks = |text: &str| text.replace([' ', '\t', '\r'], "");
        prop_assert_eq!(without_blanks(&kept), without_blanks(&text));
    }
}

/// The same blanks as those of `terraform fmt`, and thousands of lines at once.
#[test]
#[ignore = "needs terraform; scripts/test runs it where it is installed"]
fn terraform_lays_out_alike() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let random = (0..200).map(|_| bodies().new_tree(&mut runner).expect("a body").current());
    let texts = NASTY.iter().map(|(_, text)| (*text).to_owned());
    let examples = examples()
        .into_iter()
        .map(|path| fs::read_to_string(path).expect("an example can be read"));
    let texts: Vec<String> = texts.chain(examples).chain(random).collect();
    for (i, text) in texts.iter().enumerate() {
        fs::write(folder.path().join(format!("{i}.tf")), text).expect("a file can be written");
    }
    let config = folder.path().join("terraformrc");
    fs::write(&config, "").expect("a file can be written");
    let output = Command::new("terraform")
        .args(["fmt", "-list=false"])
        .current_dir(folder.path())
        .env("TF_CLI_CONFIG_FILE", config)
        .env("CHECKPOINT_DISABLE", "1")
        .output()
        .expect("terraform runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for (i, text) in texts.iter().enumerate() {
        let theirs = fs::read_to_string(folder.path().join(format!("{i}.tf"))).expect("the file is there");
        assert_eq!(formatted(text), Ok(theirs), "of {text}");
    }
}

#[test]
fn a_file_is_replaced_whole_and_keeps_its_permissions() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, link) = (folder.path().join("a.hcl"), folder.path().join("b.hcl"));
    fs::write(&file, "a=1").expect("a file can be written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("they can be set");
    std::os::unix::fs::symlink("a.hcl", &link).expect("a link can be made");
    replace(&link, "a = 1").expect("it can be replaced");
    assert_eq!(fs::read_to_string(&file).expect("it is there"), "a = 1");
    assert_eq!(fs::metadata(&file).expect("it is there").mode() & 0o7777, 0o640);
    assert!(fs::symlink_metadata(&link).expect("it is there").is_symlink());
    fs::set_permissions(&file, fs::Permissions::from_mode(0o440)).expect("they can be set");
    let error = replace(&file, "").expect_err("it is read-only");
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    let left: Vec<_> = fs::read_dir(folder.path()).expect("it is there").flatten().collect();
    assert_eq!(left.len(), 2, "nothing is left beside it: {left:?}");
}
