//! Facts about a function's signature, for type declarations.

use crate::{
    BundledImports, Wrapped, entry::Wrapper, nesting, parse, source::Source, with_stack, wrap_function,
};
use swc_common::Spanned;
use swc_ecma_ast::{Decl, Expr, FnDecl, Ident, ModuleItem, Pat, Program, Stmt};

/// Returns whether a call of this function returns a promise, as far as its syntax shows. True for a bare body, and for
/// functions whose result is known only at run time, because awaiting a plain value is harmless.
pub fn returns_promise(name: &str, parameters: &[String], code: &str) -> bool {
    let source = Source::new(code);
    with_stack(|| {
        let Ok(bound) = nesting::check_text(&source.text) else { return true };
        match wrap_function(name, parameters, &source.text, bound, &BundledImports::default()) {
            Ok(Wrapped { tree, wrapper: Some(wrapper), .. }) => is_async(&tree.program, &wrapper),
            _ => true,
        }
    })
}

/// Returns whether the text is exactly one TypeScript type, so that it can be part of a declaration.
pub fn is_type(text: &str) -> bool {
    const PREFIX: &str = "type T = ";
    let text = text.trim();
    let whole = [PREFIX, text].concat();
    with_stack(|| {
        let Ok(bound) = nesting::check_text(&whole) else { return false };
        let Ok(tree) = parse::program(&whole, bound) else { return false };
        let end = parse::START as usize + whole.len();
        match statements(&tree.program).as_slice() {
            [Stmt::Decl(Decl::TsTypeAlias(alias))] => alias.type_ann.span().hi.0 as usize == end,
            _ => false,
        }
    })
}

fn is_async(program: &Program, wrapper: &Wrapper) -> bool {
    if wrapper.is_body() {
        return true;
    }
    let statements = statements(program);
    match statements.last() {
        Some(Stmt::Return(statement)) => statement.arg.as_deref().is_none_or(|entry| match entry {
            Expr::Ident(name) => declared_async(&statements, name),
            entry => expression_async(entry),
        }),
        _ => true,
    }
}

fn declared_async(statements: &[&Stmt], name: &Ident) -> bool {
    let found = statements.iter().find_map(|statement| match statement {
        Stmt::Decl(Decl::Fn(FnDecl { ident, function, .. })) if ident.sym == name.sym => {
            function.body.is_some().then_some(function.is_async)
        }
        Stmt::Decl(Decl::Var(variables)) => variables.decls.iter().find_map(|declarator| {
            let Pat::Ident(ident) = &declarator.name else { return None };
            (ident.sym == name.sym).then(|| declarator.init.as_deref().is_none_or(expression_async))
        }),
        _ => None,
    });
    found.unwrap_or(true)
}

fn expression_async(expression: &Expr) -> bool {
    match crate::scope::unwrapped(expression) {
        Expr::Fn(function) => function.function.is_async,
        Expr::Arrow(arrow) => arrow.is_async,
        _ => true,
    }
}

fn statements(program: &Program) -> Vec<&Stmt> {
    match program {
        Program::Script(script) => script.body.iter().collect(),
        Program::Module(module) => module.body.iter().filter_map(ModuleItem::as_stmt).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_functions_return_without_a_promise() {
        let waits = |code| returns_promise("f", &["a".to_owned()], code);
        for code in [
            "async function f({ a }) {}",
            "export default async ({ a }) => a;",
            "return a;",
            "async ({ a }) => a",
            "export const f = wrap(1);",
            "const f = async () => 1;",
            "function f(",
        ] {
            assert!(waits(code), "{code}");
        }
        for code in [
            "function f({ a }) {}",
            "export default function ({ a }: { a: string }): string { return a; }",
            "({ a }) => a",
            "(function ({ a }) { return a; })",
            "const f = ({ a }) => a;\nasync function other() {}",
            "function f(a: string): void;\nfunction f(a: any) {}",
        ] {
            assert!(!waits(code), "{code}");
        }
    }

    #[test]
    fn a_type_must_span_the_whole_text() {
        for text in
            ["string", "{ a: string; b?: number }", "Promise<WorkItem[]>", "'a' | 'b'", "(x: number) => void"]
        {
            assert!(is_type(text), "{text}");
        }
        let deep = "[".repeat(10_000);
        for text in [
            "",
            "a list of items",
            "string; declare const x: 1",
            "string }",
            "{",
            "string // text",
            "1 +",
            &deep,
        ] {
            assert!(!is_type(text), "{text}");
        }
    }
}
