/* The XML scanner: one pass, a stack of names, one text buffer. */
#include "connectors/s3/xml_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_SIZE 64

struct scanner {
    const char *at, *end;
    char names[XML_DEPTH_MAX][NAME_SIZE];
    size_t depth;
    char text[XML_TEXT_MAX + 1]; /* of the innermost open element, since its last child */
    size_t text_size;
    bool any; /* an element was there */
    xml_visit visit;
    void *argument;
};

static bool starts(const struct scanner *scanner, const char *text)
{
    size_t size = strlen(text);
    return (size_t)(scanner->end - scanner->at) >= size && memcmp(scanner->at, text, size) == 0;
}

/* Moves behind the next `text`; false if there is none. */
static bool skip_past(struct scanner *scanner, const char *text)
{
    const char *found = memmem(scanner->at, (size_t)(scanner->end - scanner->at), text,
                               strlen(text));
    if (found)
        scanner->at = found + strlen(text);
    return found != NULL;
}

static bool text_add(struct scanner *scanner, const char *text, size_t size)
{
    if (size > XML_TEXT_MAX - scanner->text_size)
        return false;
    memcpy(scanner->text + scanner->text_size, text, size);
    scanner->text_size += size;
    return true;
}

static size_t utf8_encode(unsigned long code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xC0 | code >> 6);
        out[1] = (char)(0x80 | (code & 63));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xE0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 63));
        out[2] = (char)(0x80 | (code & 63));
        return 3;
    }
    out[0] = (char)(0xF0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 63));
    out[2] = (char)(0x80 | (code >> 6 & 63));
    out[3] = (char)(0x80 | (code & 63));
    return 4;
}

/* At '&'. */
static bool entity_take(struct scanner *scanner)
{
    static const struct {
        const char *name, *text;
    } known[] = {{"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&apos;", "'"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (starts(scanner, known[i].name)) {
            scanner->at += strlen(known[i].name);
            return text_add(scanner, known[i].text, 1);
        }
    char digits[12] = "", *stop, encoded[4];
    const char *semicolon = memchr(scanner->at, ';', (size_t)(scanner->end - scanner->at));
    if (!starts(scanner, "&#") || !semicolon || semicolon - scanner->at - 2 >= (int)sizeof digits ||
        semicolon - scanner->at < 3)
        return false;
    memcpy(digits, scanner->at + 2, (size_t)(semicolon - scanner->at - 2));
    bool hexadecimal = digits[0] == 'x' || digits[0] == 'X';
    const char *first = digits + hexadecimal;
    if (!strchr("0123456789abcdefABCDEF", *first) || !*first)
        return false;
    unsigned long code = strtoul(first, &stop, hexadecimal ? 16 : 10);
    if (*stop || code == 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
        return false;
    scanner->at = semicolon + 1;
    return text_add(scanner, encoded, utf8_encode(code, encoded));
}

static bool text_take(struct scanner *scanner)
{
    while (scanner->at < scanner->end && *scanner->at != '<') {
        if (*scanner->at == '&') {
            if (!entity_take(scanner))
                return false;
            continue;
        }
        const char *from = scanner->at;
        while (scanner->at < scanner->end && *scanner->at != '<' && *scanner->at != '&')
            scanner->at++;
        if (scanner->depth && !text_add(scanner, from, (size_t)(scanner->at - from)))
            return false;
    }
    return true;
}

/* The name at the scanner's place, without its prefix, cut at NAME_SIZE. */
static bool name_take(struct scanner *scanner, char ret_name[NAME_SIZE])
{
    const char *from = scanner->at;
    while (scanner->at < scanner->end && !strchr(" \t\r\n/>=<", *scanner->at)) {
        if (*scanner->at == ':')
            from = scanner->at + 1;
        scanner->at++;
    }
    size_t size = (size_t)(scanner->at - from);
    if (size == 0 || size >= NAME_SIZE)
        return false;
    memcpy(ret_name, from, size);
    ret_name[size] = '\0';
    return true;
}

static weir_status element_end(struct scanner *scanner, struct weir_error *reterr)
{
    scanner->depth--;
    scanner->any = true;
    scanner->text[scanner->text_size] = '\0';
    const char *parent = scanner->depth ? scanner->names[scanner->depth - 1] : "";
    size_t size = scanner->text_size;
    scanner->text_size = 0;
    return scanner->visit(scanner->argument, parent, scanner->names[scanner->depth], scanner->text,
                          size, reterr);
}

/* Behind the name of a start tag: over its attributes. ret_empty: "<x/>". */
static bool attributes_skip(struct scanner *scanner, bool *ret_empty)
{
    char quote = 0;
    for (; scanner->at < scanner->end; scanner->at++) {
        char c = *scanner->at;
        if (quote) {
            quote = c == quote ? 0 : quote;
        } else if (c == '"' || c == '\'') {
            quote = c;
        } else if (c == '<') {
            return false;
        } else if (c == '>') {
            *ret_empty = scanner->at[-1] == '/';
            scanner->at++;
            return true;
        }
    }
    return false;
}

static weir_status malformed(const char *what, struct weir_error *reterr)
{
    return weir_fail(reterr, WEIR_CORRUPT, "the answer is not the XML it should be: %s", what);
}

/* At '<'. */
static weir_status tag_take(struct scanner *scanner, struct weir_error *reterr)
{
    char name[NAME_SIZE];
    bool empty = false;
    if (starts(scanner, "<?"))
        return skip_past(scanner, "?>") ? WEIR_OK : malformed("an open declaration", reterr);
    if (starts(scanner, "<!--") && (scanner->at += 4))
        return skip_past(scanner, "-->") ? WEIR_OK : malformed("an open comment", reterr);
    if (starts(scanner, "<![CDATA[")) {
        const char *from = scanner->at + 9;
        if (!skip_past(scanner, "]]>") || scanner->at - 3 < from ||
            !text_add(scanner, from, (size_t)(scanner->at - 3 - from)))
            return malformed("an open or too long CDATA", reterr);
        return WEIR_OK;
    }
    if (starts(scanner, "<!"))
        return malformed("a document type", reterr);
    if (starts(scanner, "</")) {
        scanner->at += 2;
        if (!name_take(scanner, name) || !scanner->depth ||
            strcmp(name, scanner->names[scanner->depth - 1]) != 0 || !skip_past(scanner, ">"))
            return malformed("an end without its start", reterr);
        return element_end(scanner, reterr);
    }
    scanner->at++;
    if (scanner->depth == XML_DEPTH_MAX || !name_take(scanner, name) ||
        !attributes_skip(scanner, &empty))
        return malformed("a broken tag, or too deep", reterr);
    memcpy(scanner->names[scanner->depth++], name, NAME_SIZE);
    scanner->text_size = 0;
    return empty ? element_end(scanner, reterr) : WEIR_OK;
}

weir_status xml_scan(const char *data, size_t size, xml_visit visit, void *argument,
                     struct weir_error *reterr)
{
    struct scanner scanner = {.at = data, .end = data + size, .visit = visit, .argument = argument};
    while (scanner.at < scanner.end) {
        if (!text_take(&scanner))
            return malformed("a text too long, or an unknown entity", reterr);
        if (scanner.at == scanner.end)
            break;
        WEIR_TRY(tag_take(&scanner, reterr));
    }
    return scanner.any && scanner.depth == 0 ? WEIR_OK : malformed("it ends too early", reterr);
}

struct finding {
    const char *parent, *name;
    char *text;
    size_t capacity;
    bool found;
};

static weir_status find_visit(void *argument, const char *parent, const char *name,
                              const char *text, size_t size, struct weir_error *reterr)
{
    struct finding *finding = argument;
    if (!finding->found && strcmp(name, finding->name) == 0 &&
        (!finding->parent || strcmp(parent, finding->parent) == 0)) {
        snprintf(finding->text, finding->capacity, "%s", text);
        finding->found = true;
    }
    return WEIR_OK;
}

bool xml_find(const char *data, size_t size, const char *parent, const char *name, char *ret_text,
              size_t capacity)
{
    struct finding finding = {parent, name, ret_text, capacity};
    return data && xml_scan(data, size, find_visit, &finding, NULL) == WEIR_OK && finding.found;
}
