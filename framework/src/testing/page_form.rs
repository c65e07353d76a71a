//! A form on a page, filled in and sent as a browser does.

use super::html::{Piece, pieces};
use super::{Client, FormData, RequestBuilder, TestResponse};

/// A form of a page: it has the values that the page has filled in, hidden fields included.
///
/// ```
/// use kirsch::{prelude::*, testing::Client};
///
/// struct Guests;
///
/// #[handlers]
/// impl Guests {
///     #[expose]
///     fn index(&self) -> &'static str {
///         "<form id=sign action=/sign method=post><input type=hidden name=page value=7><input name=name></form>"
///     }
///
///     #[expose(post)]
///     fn sign(&self, name: String, page: u32) -> String {
///         format!("{name} on page {page}")
///     }
/// }
///
/// let client = Client::in_process(App::new(Guests));
/// client.get("/").send().form("#sign").set("name", "Anna").submit().assert_text("Anna on page 7");
/// ```
#[derive(Clone, Debug)]
#[must_use = "a form is sent by `submit`"]
pub struct PageForm {
    client: Client,
    id: String,
    name: String,
    action: String,
    is_post: bool,
    is_multipart: bool,
    fields: Vec<PageField>,
}

/// A field of a form.
#[derive(Clone, Debug)]
struct PageField {
    name: String,
    kind: PageFieldKind,
    value: String,
    /// Whether it is sent: a box that is not checked is not, nor is a button that is not pressed.
    sent: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum PageFieldKind {
    Text,
    Password,
    /// With the values that it offers.
    Select(Vec<String>),
    Box,
    Radio,
    Button,
    /// With the files that are chosen. A field with `multiple` takes more than one.
    File {
        chosen: Vec<ChosenFile>,
        multiple: bool,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct ChosenFile {
    name: String,
    content_type: String,
    content: Vec<u8>,
}

impl PageForm {
    /// All forms of a page.
    pub(super) fn all(client: &Client, path: &str, page: &str) -> Vec<Self> {
        let mut forms = Vec::new();
        let mut reader: Option<FormReader> = None;
        for piece in pieces(page) {
            match (piece, &mut reader) {
                (Piece::Start(name, attributes), None) if name == "form" => {
                    reader = Some(FormReader::new(client, path, &Attributes(&attributes)));
                }
                (Piece::Start(name, attributes), Some(reader)) => reader.start(&name, &Attributes(&attributes)),
                (Piece::Text(text), Some(reader)) => reader.text(&text),
                (Piece::End(name), Some(_)) if name == "form" => forms.extend(reader.take().map(|reader| reader.form)),
                (Piece::End(name), Some(reader)) => reader.end(&name),
                _ => {}
            }
        }
        forms.extend(reader.map(|reader| reader.form));
        forms
    }

    /// Whether `selector` means this form: `#id`, its `name`, or its action.
    pub(super) fn is_meant(&self, selector: &str) -> bool {
        match selector.strip_prefix('#') {
            Some(id) => self.id == id,
            None => selector.is_empty() || selector == "form" || self.name == selector || self.action == selector,
        }
    }

    /// As a failed search shows it.
    pub(super) fn title(&self) -> String {
        let id = if self.id.is_empty() { String::new() } else { format!(" id=\"{}\"", self.id) };
        format!("<form{id} action=\"{}\">", self.action)
    }

    /// Types `value` into the text field `name`, or chooses it of a list or of radio buttons.
    ///
    /// # Panics
    /// If the form has no such field, or does not offer this value.
    #[track_caller]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        let mut radios = self.fields.iter().filter(|field| field.name == name && field.kind == PageFieldKind::Radio);
        if radios.clone().next().is_some() {
            let offered: Vec<_> = radios.clone().map(|field| field.value.clone()).collect();
            assert!(radios.any(|field| field.value == value), "{name:?} offers {offered:?}, not {value:?}");
            for field in self.fields.iter_mut().filter(|field| field.name == name) {
                field.sent = field.value == value;
            }
            return self;
        }
        let field = self.field(name);
        if let PageFieldKind::Select(offered) = &field.kind {
            assert!(offered.iter().any(|offer| offer == value), "{name:?} offers {offered:?}, not {value:?}");
        }
        value.clone_into(&mut field.value);
        field.sent = true;
        self
    }

    /// Checks the box `name`, or takes the check away.
    ///
    /// # Panics
    /// If the form has no such box.
    #[track_caller]
    pub fn check(mut self, name: &str, checked: bool) -> Self {
        let field = self.field(name);
        assert!(field.kind == PageFieldKind::Box, "{name:?} is not a check box");
        field.sent = checked;
        self
    }

    /// Chooses a file. In a field with the attribute `multiple` it is one more file, in another field it takes the
    /// place of the one before.
    ///
    /// ```
    /// use kirsch::{Upload, prelude::*, testing::Client};
    ///
    /// struct Album;
    ///
    /// #[handlers]
    /// impl Album {
    ///     #[expose]
    ///     fn index(&self) -> &'static str {
    ///         "<form action=/add method=post enctype=multipart/form-data><input type=file name=photos multiple></form>"
    ///     }
    ///
    ///     #[expose(post)]
    ///     fn add(&self, photos: Vec<Upload>) -> String {
    ///         format!("{} photos", photos.len())
    ///     }
    /// }
    ///
    /// let form = Client::in_process(App::new(Album)).get("/").send().form("/add");
    /// let form = form.file("photos", "a.jpg", "image/jpeg", "...").file("photos", "b.jpg", "image/jpeg", "...");
    /// form.submit().assert_text("2 photos");
    /// ```
    ///
    /// # Panics
    /// If the form has no such field for files.
    #[track_caller]
    pub fn file(mut self, name: &str, file_name: &str, content_type: &str, content: impl Into<Vec<u8>>) -> Self {
        let field = self.field(name);
        let PageFieldKind::File { chosen, multiple } = &mut field.kind else {
            panic!("{name:?} is not a field for files");
        };
        if !*multiple {
            chosen.clear();
        }
        let (file_name, content_type) = (file_name.to_owned(), content_type.to_owned());
        chosen.push(ChosenFile { name: file_name, content_type, content: content.into() });
        self
    }

    /// The value that the field has now.
    ///
    /// # Panics
    /// If the form has no such field.
    #[must_use]
    #[track_caller]
    pub fn value(&self, name: &str) -> &str {
        let mut fields = self.fields.iter().filter(|field| field.name == name);
        let field = fields.clone().find(|field| field.sent).or_else(|| fields.next());
        &field.unwrap_or_else(|| self.missing(name)).value
    }

    /// Sends the form, as its first button does, and follows redirects.
    ///
    /// # Panics
    /// If no response comes.
    #[track_caller]
    pub fn submit(self) -> TestResponse {
        self.request().send()
    }

    /// Sends the form by the button of this name and value.
    ///
    /// # Panics
    /// If the form has no such button, or no response comes.
    #[track_caller]
    pub fn press(mut self, name: &str, value: &str) -> TestResponse {
        let is_meant =
            |field: &&mut PageField| field.kind == PageFieldKind::Button && field.name == name && field.value == value;
        match self.fields.iter_mut().find(is_meant) {
            Some(button) => button.sent = true,
            None => panic!("{} has no button {name:?} with the value {value:?}", self.title()),
        }
        self.submit()
    }

    /// The request that sends the form, for a test that changes it first.
    pub fn request(self) -> RequestBuilder {
        let sent = self.fields.iter().filter(|field| field.sent && !field.name.is_empty());
        let texts: Vec<_> = sent.clone().map(|field| (&*field.name, &*field.value)).collect();
        let request = match (self.is_post, self.is_multipart) {
            (false, _) => {
                let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(texts).finish();
                let path = self.action.split('?').next().unwrap_or_default();
                self.client.get(&format!("{path}?{query}"))
            }
            (true, false) => self.client.post(&self.action).form(&texts),
            (true, true) => {
                let form = sent.fold(FormData::new(), |form, field| match &field.kind {
                    // So browsers send a field in which no file is chosen.
                    PageFieldKind::File { chosen, .. } if chosen.is_empty() => {
                        form.file(&field.name, "", "application/octet-stream", "")
                    }
                    PageFieldKind::File { chosen, .. } => chosen
                        .iter()
                        .fold(form, |form, file| form.file(&field.name, &file.name, &file.content_type, &file.content)),
                    _ => form.field(&field.name, &field.value),
                });
                self.client.post(&self.action).form_data(form)
            }
        };
        request.header("Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8").follow_redirects()
    }

    /// Fills in a name and a password.
    pub(super) fn credentials(mut self, name: &str, password: &str) -> Option<Self> {
        let at = self.fields.iter().position(|field| field.kind == PageFieldKind::Password)?;
        let text = self.fields[..at].iter_mut().rfind(|field| field.kind == PageFieldKind::Text && field.sent)?;
        name.clone_into(&mut text.value);
        password.clone_into(&mut self.fields[at].value);
        Some(self)
    }

    #[track_caller]
    fn field(&mut self, name: &str) -> &mut PageField {
        match self.fields.iter().position(|field| field.name == name) {
            Some(index) => &mut self.fields[index],
            None => self.missing(name),
        }
    }

    #[track_caller]
    fn missing(&self, name: &str) -> ! {
        let names: Vec<_> = self.fields.iter().map(|field| &*field.name).collect();
        panic!("{} has no field {name:?}; it has {names:?}", self.title())
    }
}

/// The attributes of a tag.
struct Attributes<'a>(&'a [(String, String)]);

impl Attributes<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| &**value)
    }

    fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

/// A form while its pieces come.
struct FormReader {
    form: PageForm,
    /// The list whose options come.
    in_select: bool,
    in_textarea: bool,
    /// The option without a value, whose text is its value.
    option: Option<bool>,
}

impl FormReader {
    fn new(client: &Client, path: &str, attributes: &Attributes<'_>) -> Self {
        let text = |name| attributes.get(name).unwrap_or_default().to_owned();
        let action = match attributes.get("action") {
            None | Some("") => path.to_owned(),
            Some(action) => {
                let resolved = super::request::resolve(path, action, &client.target.host());
                resolved.unwrap_or_else(|_| action.to_owned())
            }
        };
        let form = PageForm {
            client: client.clone(),
            id: text("id"),
            name: text("name"),
            action,
            is_post: text("method").eq_ignore_ascii_case("post"),
            is_multipart: text("enctype").eq_ignore_ascii_case("multipart/form-data"),
            fields: Vec::new(),
        };
        Self { form, in_select: false, in_textarea: false, option: None }
    }

    fn start(&mut self, tag: &str, attributes: &Attributes<'_>) {
        if attributes.has("disabled") {
            return;
        }
        let text = |name| attributes.get(name).unwrap_or_default().to_owned();
        let (kind, value, sent) = match tag {
            "textarea" => {
                self.in_textarea = true;
                (PageFieldKind::Text, String::new(), true)
            }
            "select" => {
                self.in_select = true;
                (PageFieldKind::Select(Vec::new()), String::new(), true)
            }
            "option" if self.in_select => {
                match attributes.get("value") {
                    Some(value) => self.offer(value, attributes.has("selected")),
                    None => self.option = Some(attributes.has("selected")),
                }
                return;
            }
            "button" => (PageFieldKind::Button, text("value"), false),
            "input" => match &*text("type").to_ascii_lowercase() {
                "checkbox" => (PageFieldKind::Box, text("value"), attributes.has("checked")),
                "radio" => (PageFieldKind::Radio, text("value"), attributes.has("checked")),
                "submit" | "image" | "reset" | "button" => (PageFieldKind::Button, text("value"), false),
                "password" => (PageFieldKind::Password, text("value"), true),
                "file" => {
                    let multiple = attributes.has("multiple");
                    (PageFieldKind::File { chosen: Vec::new(), multiple }, String::new(), true)
                }
                _ => (PageFieldKind::Text, text("value"), true),
            },
            _ => return,
        };
        let is_choice = matches!(kind, PageFieldKind::Box | PageFieldKind::Radio);
        let value = if is_choice && !attributes.has("value") { "on".to_owned() } else { value };
        self.form.fields.push(PageField { name: text("name"), kind, value, sent });
    }

    /// An option of the list that comes. A list without a chosen one sends its first.
    fn offer(&mut self, value: &str, selected: bool) {
        let Some(field) = self.form.fields.last_mut() else { return };
        if let PageFieldKind::Select(offered) = &mut field.kind {
            if selected || offered.is_empty() {
                value.clone_into(&mut field.value);
            }
            offered.push(value.to_owned());
        }
    }

    fn text(&mut self, text: &str) {
        if let Some(selected) = self.option.take() {
            self.offer(text.trim(), selected);
        } else if self.in_textarea
            && let Some(field) = self.form.fields.last_mut()
        {
            // The line break after the tag is not part of the value.
            field.value.push_str(text.strip_prefix("\r\n").or_else(|| text.strip_prefix('\n')).unwrap_or(text));
        }
    }

    fn end(&mut self, tag: &str) {
        match tag {
            "select" => self.in_select = false,
            "textarea" => self.in_textarea = false,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Client, TestResponse};
    use crate::{App, Html, Params, Request, Upload, handlers};

    struct Pages;

    const FORM: &str = "<form id=other></form><form id='all' action='send?x=1' method=POST>\
        <input type=hidden name=token value='a&amp;b'><input name=text value=old><input type=password name=word>\
        <input type=checkbox name=box><input type=checkbox name=filled value=yes checked>\
        <input type=radio name=size value=s checked><input type=radio name=size value=m>\
        <select name=day><option>Mon<option value=2 selected>Tue</select><textarea name=note>\n<b></textarea>\
        <input name=gone disabled><button name=do value=save>Save</button><button name=do value=drop>Drop</button></form>";

    #[handlers]
    impl Pages {
        #[expose]
        fn index(&self) -> Html<&'static str> {
            Html(FORM)
        }

        #[expose]
        fn send(&self, params: Params) -> String {
            params.iter().map(|(name, value)| format!("{name}={value};")).collect()
        }

        #[expose]
        fn files(&self) -> &'static str {
            "<form method=post action=/sent enctype=multipart/form-data><input type=file name=photo>\
             <input type=file name=more multiple></form>"
        }

        #[expose]
        fn sent(&self, photo: Upload, more: Vec<Upload>, request: &Request) -> String {
            let more: String = more.iter().filter_map(Upload::file_name).collect();
            format!("{:?} {} {} {more}", photo.file_name(), photo.size(), request.is_multipart())
        }

        #[expose]
        fn search(&self, text: Option<&str>) -> String {
            format!("<form><input name=text></form>{}", text.unwrap_or_default())
        }
    }

    fn page(path: &str) -> TestResponse {
        Client::in_process(App::new(Pages)).get(path).send()
    }

    #[test]
    fn a_form_is_sent_as_the_page_has_filled_it_in() {
        let expected = "x=1;token=a&b;text=old;word=;filled=yes;size=s;day=2;note=<b>;";
        page("/").form("#all").submit().assert_text(expected);
    }

    #[test]
    fn fields_are_set_chosen_and_checked() {
        let form = page("/").form("#all").set("text", "ä&").set("size", "m").set("day", "Mon").check("box", true);
        assert_eq!((form.value("size"), form.value("day")), ("m", "Mon"));
        let expected = "x=1;token=a&b;text=ä&;word=;box=on;size=m;day=Mon;note=<b>;do=drop;";
        form.check("filled", false).press("do", "drop").assert_text(expected);
    }

    #[test]
    fn files_and_queries_are_sent_as_browsers_do() {
        let sent = page("/files").form("form").file("photo", "a.jpg", "image/jpeg", "abc").submit();
        sent.assert_text("Some(\"a.jpg\") 3 true ");
        page("/search").form("").set("text", "tea time").submit().assert_contains("tea time");
    }

    #[test]
    fn a_field_for_many_files_takes_more_and_another_one_the_last() {
        let file = |form: super::PageForm, field, name| form.file(field, name, "image/jpeg", name);
        let choices = [("photo", "a"), ("photo", "bb"), ("more", "c"), ("more", "d")];
        let form = choices.iter().fold(page("/files").form("form"), |form, (field, name)| file(form, field, *name));
        form.submit().assert_text("Some(\"bb\") 2 true cd");
    }

    #[test]
    #[should_panic(expected = "<form id=\"all\" action=\"/send?x=1\"> has no field \"txt\"; it has [\"token\"")]
    fn a_field_that_is_not_there_is_told_with_those_that_are() {
        let _ = page("/").form("#all").set("txt", "x");
    }

    #[test]
    #[should_panic(expected = "\"day\" offers [\"Mon\", \"2\"], not \"Sun\"")]
    fn a_value_that_is_not_offered_cannot_be_chosen() {
        let _ = page("/").form("#all").set("day", "Sun");
    }
}
