//! Output of swc's code generator: the generated text, and marks that relate it to the author's text.
//!
//! Invariant: marks ascend by generated offset, because the text only grows.

use std::io::Result;
use swc_common::{BytePos, Span};
use swc_ecma_codegen::text_writer::WriteJs;

const INDENT: &str = "    ";

/// Relates the generated text from `generated` on to the author's text from `original` on. Both are byte offsets.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    pub(super) generated: usize,
    pub(super) original: usize,
}

pub(super) struct Writer {
    pub(super) code: String,
    pub(super) marks: Vec<Mark>,
    /// Position of the author's first byte.
    base: u32,
    /// Length of the author's text in bytes. Positions outside of it belong to generated code and are not marked.
    length: usize,
    indent: usize,
    at_line_start: bool,
    /// Mark for the first character of the next line, after its indentation.
    pending: Option<BytePos>,
}

impl Writer {
    /// Starts with `header`, followed by a new line.
    pub(super) fn new(header: &str, base: u32, length: usize) -> Self {
        let mut code = String::with_capacity(header.len() + length + length / 4);
        code.push_str(header);
        code.push('\n');
        // An estimate: one mark per three bytes.
        let marks = Vec::with_capacity(length / 3);
        Self { code, marks, base, length, indent: 0, at_line_start: true, pending: None }
    }

    fn mark(&mut self, position: BytePos) {
        if position.is_dummy() {
            return;
        }
        let Some(original) = position.0.checked_sub(self.base) else { return };
        let mark = Mark { generated: self.code.len(), original: original as usize };
        if mark.original > self.length {
            return;
        }
        // The last mark of an offset counts. A node that ends where it began must not become the last mark again.
        let here = self.marks.iter().rev().take_while(|earlier| earlier.generated == mark.generated);
        if !here.into_iter().any(|earlier| earlier.original == mark.original) {
            self.marks.push(mark);
        }
    }

    fn start_line(&mut self) {
        if self.at_line_start {
            for _ in 0..self.indent {
                self.code.push_str(INDENT);
            }
            self.at_line_start = false;
            if let Some(position) = self.pending.take() {
                self.mark(position);
            }
        }
    }

    fn write(&mut self, text: &str) {
        if !text.is_empty() {
            self.start_line();
            self.code.push_str(text);
        }
    }

    fn write_marked(&mut self, span: Option<Span>, text: &str) {
        match span {
            Some(span) if !text.is_empty() => {
                self.start_line();
                self.mark(span.lo);
                self.code.push_str(text);
                self.mark(span.hi);
            }
            _ => self.write(text),
        }
    }

    /// Writes a literal. A literal at the start of a line is also marked before the line's indentation.
    fn write_literal(&mut self, span: Span, text: &str) {
        if !text.is_empty() {
            self.mark(span.lo);
            self.write(text);
            self.mark(span.hi);
        }
    }
}

impl WriteJs for Writer {
    fn increase_indent(&mut self) -> Result<()> {
        self.indent += 1;
        Ok(())
    }

    fn decrease_indent(&mut self) -> Result<()> {
        self.indent -= 1;
        Ok(())
    }

    fn write_semi(&mut self, span: Option<Span>) -> Result<()> {
        self.write_marked(span, ";");
        Ok(())
    }

    fn write_space(&mut self) -> Result<()> {
        self.write(" ");
        Ok(())
    }

    fn write_keyword(&mut self, span: Option<Span>, text: &'static str) -> Result<()> {
        self.write_marked(span, text);
        Ok(())
    }

    fn write_operator(&mut self, span: Option<Span>, text: &str) -> Result<()> {
        self.write_marked(span, text);
        Ok(())
    }

    fn write_param(&mut self, text: &str) -> Result<()> {
        self.write(text);
        Ok(())
    }

    fn write_property(&mut self, text: &str) -> Result<()> {
        self.write(text);
        Ok(())
    }

    fn write_line(&mut self) -> Result<()> {
        let pending = self.pending.take();
        if !self.at_line_start {
            self.code.push('\n');
            self.at_line_start = true;
            if let Some(position) = pending {
                self.mark(position);
            }
        }
        Ok(())
    }

    fn write_lit(&mut self, span: Span, text: &str) -> Result<()> {
        self.write_literal(span, text);
        Ok(())
    }

    fn write_comment(&mut self, text: &str) -> Result<()> {
        self.write(text);
        Ok(())
    }

    fn write_str_lit(&mut self, span: Span, text: &str) -> Result<()> {
        self.write_literal(span, text);
        Ok(())
    }

    fn write_str(&mut self, text: &str) -> Result<()> {
        self.write(text);
        Ok(())
    }

    fn write_symbol(&mut self, span: Span, text: &str) -> Result<()> {
        self.write_marked(Some(span), text);
        Ok(())
    }

    fn write_punct(&mut self, span: Option<Span>, text: &'static str, _: bool) -> Result<()> {
        self.write_marked(span, text);
        Ok(())
    }

    fn care_about_srcmap(&self) -> bool {
        true
    }

    fn add_srcmap(&mut self, position: BytePos) -> Result<()> {
        if self.at_line_start {
            self.pending = Some(position);
        } else {
            self.mark(position);
        }
        Ok(())
    }

    fn commit_pending_semi(&mut self) -> Result<()> {
        Ok(())
    }
}
