/* Types of columns and types of an index's fields: which mapping we make, and whether one that is
 * there takes our rows. What is in a row is kept exactly in `_source`, whatever the mapping; the
 * mapping decides what a search can do with it. docs/sinks.md has the table
 * and the reasons. */
#include "connectors/sink/opensearch_int.h"

#include <stdio.h>
#include <string.h>

#define PATH_MAX_SIZE 512 /* of a field's dotted name in a message; longer ones are cut */

/* A keyword of more bytes than this is refused by Lucene with its whole row; 8,191 characters of
 * four bytes fit. Longer texts are kept, and not found. */
#define KEYWORD "{\"type\":\"keyword\",\"ignore_above\":8191}"

weir_status opensearch_text_print(const char *text, struct weir_buffer *out,
                                  struct weir_error *reterr)
{
    size_t size = strlen(text);
    WEIR_TRY(weir_buffer_reserve(out, size * 6 + 3, reterr));
    out->data[out->size++] = '"';
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)text[i];
        if (byte < 0x20) {
            out->size += (size_t)snprintf((char *)out->data + out->size, 7, "\\u%04x", byte);
            continue;
        }
        if (byte == '"' || byte == '\\')
            out->data[out->size++] = '\\';
        out->data[out->size++] = byte;
    }
    out->data[out->size++] = '"';
    out->data[out->size] = '\0';
    return WEIR_OK;
}

/* An index knows no lists: a field has any number of values. */
static const struct weir_type *of_elements(const struct weir_type *type)
{
    while (type->id == WEIR_LIST)
        type = &type->children[0].type;
    return type;
}

/* ---- ours ------------------------------------------------------------------------------------ */

/* Exact, and in order where the index can do that. A scaled_float keeps round(double(text) * 10^S)
 * as a long: with up to 15 digits that is the unscaled value itself. */
static weir_status decimal_print(const struct weir_type *type, struct weir_buffer *out,
                                 struct weir_error *reterr)
{
    if (type->scale == 0 && type->precision <= 18)
        return weir_buffer_print(out, reterr, "{\"type\":\"long\"}");
    if (type->precision > 15)
        return weir_buffer_print(out, reterr, KEYWORD);
    long long factor = 1;
    for (int i = 0; i < type->scale; i++)
        factor *= 10;
    return weir_buffer_print(out, reterr, "{\"type\":\"scaled_float\",\"scaling_factor\":%lld}",
                             factor);
}

static weir_status leaf_print(const struct weir_type *type, struct weir_buffer *out,
                              struct weir_error *reterr)
{
    static const char *const plain[WEIR_TYPE_COUNT] = {
        [WEIR_BOOLEAN] = "{\"type\":\"boolean\"}",
        [WEIR_INT] = "{\"type\":\"integer\"}",
        [WEIR_LONG] = "{\"type\":\"long\"}",
        [WEIR_FLOAT] = "{\"type\":\"float\"}",
        [WEIR_DOUBLE] = "{\"type\":\"double\"}",
        [WEIR_DATE] = "{\"type\":\"date\",\"format\":\"strict_date\"}",
        [WEIR_TIMESTAMP] = "{\"type\":\"date\",\"format\":\"strict_date_optional_time\"}",
        [WEIR_TIMESTAMPTZ] = "{\"type\":\"date\",\"format\":\"strict_date_optional_time\"}",
        [WEIR_FIXED] = "{\"type\":\"binary\"}",
        [WEIR_BINARY] = "{\"type\":\"binary\"}",
        /* kept, not searched: each key would become a field of the index, without end */
        [WEIR_MAP] = "{\"type\":\"object\",\"enabled\":false}",
    };
    if (type->id == WEIR_DECIMAL)
        return decimal_print(type, out, reterr);
    return weir_buffer_print(out, reterr, "%s", plain[type->id] ? plain[type->id] : KEYWORD);
}

/* ---- theirs ---------------------------------------------------------------------------------- */

/* The mapping of a field; a dot in a name is a step down. */
static const json_t *field_find(const json_t *properties, const char *name)
{
    const json_t *found = json_object_get(properties, name);
    const char *dot = strchr(name, '.');
    char head[PATH_MAX_SIZE];
    if (found || !dot || (size_t)(dot - name) >= sizeof head)
        return found;
    snprintf(head, sizeof head, "%.*s", (int)(dot - name), name);
    const json_t *outer = json_object_get(properties, head);
    return outer ? field_find(json_object_get(outer, "properties"), dot + 1) : NULL;
}

static const char *type_of(const json_t *mapping)
{
    const char *type = json_string_value(json_object_get(mapping, "type"));
    return type ? type : "object";
}

static bool is_one_of(const char *word, size_t size, const char *list)
{
    for (const char *at = list; *at;) {
        size_t length = strcspn(at, " ");
        if (length == size && memcmp(at, word, size) == 0)
            return true;
        at += length + (at[length] == ' ');
    }
    return false;
}

static bool is_type(const json_t *mapping, const char *list)
{
    const char *type = type_of(mapping);
    return is_one_of(type, strlen(type), list);
}

/* Is it an object with fields of its own, all declared in the mapping? */
static bool has_fields(const json_t *mapping)
{
    return is_type(mapping, "object nested") && !json_is_false(json_object_get(mapping, "enabled"));
}

weir_status opensearch_mapping_print(const struct weir_type *row, const json_t *properties,
                                     struct weir_buffer *out, size_t *ret_count,
                                     struct weir_error *reterr)
{
    size_t count = 0;
    WEIR_TRY(weir_buffer_print(out, reterr, "{"));
    for (uint32_t i = 0; i < row->child_count; i++) {
        const struct weir_type *type = of_elements(&row->children[i].type);
        const json_t *there = field_find(properties, row->children[i].name);
        size_t start = out->size, inner = 0;
        if (there && (type->id != WEIR_STRUCT || !has_fields(there)))
            continue;
        WEIR_TRY(weir_buffer_print(out, reterr, "%s", count ? "," : ""));
        WEIR_TRY(opensearch_text_print(row->children[i].name, out, reterr));
        WEIR_TRY(weir_buffer_print(out, reterr, ":"));
        if (type->id != WEIR_STRUCT) {
            WEIR_TRY(leaf_print(type, out, reterr));
        } else { /* a type in an update must be what it is: object or nested */
            WEIR_TRY(weir_buffer_print(out, reterr, "{\"type\":\"%s\",\"properties\":",
                                       there ? type_of(there) : "object"));
            WEIR_TRY(opensearch_mapping_print(
                type, there ? json_object_get(there, "properties") : NULL, out, &inner, reterr));
            WEIR_TRY(weir_buffer_print(out, reterr, "}"));
            if (there && !inner) { /* nothing to add in there */
                out->size = start;
                continue;
            }
        }
        count += inner + !there;
    }
    *ret_count = count;
    return weir_buffer_print(out, reterr, "}");
}

/* ---- whether they fit ------------------------------------------------------------------------ */

#define TEXTS  "keyword text wildcard match_only_text constant_keyword search_as_you_type"
#define TIMES  "date date_nanos"
#define REALS  "double float half_float scaled_float"
#define PLACES "geo_point geo_shape"

/* Types that a column's values can be put in. Numbers in narrower ones are a conflict: they would
 * be refused, or cut in silence. A string column may well hold addresses or versions. */
static const char *const accepted[WEIR_TYPE_COUNT] = {
    [WEIR_BOOLEAN] = "boolean " TEXTS,
    [WEIR_INT] = "integer long unsigned_long " REALS " " TIMES " " TEXTS,
    [WEIR_LONG] = "long unsigned_long " REALS " " TIMES " " TEXTS,
    [WEIR_FLOAT] = REALS " " TEXTS,
    [WEIR_DOUBLE] = REALS " " TEXTS,
    [WEIR_DECIMAL] = REALS " " TEXTS,
    [WEIR_DATE] = TIMES " " TEXTS,
    [WEIR_TIME] = TEXTS,
    [WEIR_TIMESTAMP] = TIMES " " TEXTS,
    [WEIR_TIMESTAMPTZ] = TIMES " " TEXTS,
    [WEIR_STRING] = TEXTS " ip version completion " TIMES " " PLACES,
    [WEIR_UUID] = TEXTS,
    [WEIR_FIXED] = "binary " TEXTS,
    [WEIR_BINARY] = "binary " TEXTS,
    [WEIR_STRUCT] = "object nested flattened flat_object " PLACES,
    [WEIR_MAP] = "object nested flattened flat_object",
    [WEIR_INTERVAL] = TEXTS,
};
/* A type that is none of these is one we know nothing of: the server will judge. */
static const char known[] = "boolean byte short integer long unsigned_long " REALS " " TIMES
                            " " TEXTS " " PLACES " ip version completion binary object nested "
                            "flattened flat_object alias integer_range long_range float_range "
                            "double_range date_range ip_range";

bool opensearch_type_known(const char *text, size_t size)
{
    return is_one_of(text, size, known);
}

/* A date's formats, if all of them are of numbers or without dashes: then no ISO text fits. */
static bool is_foreign_date(const json_t *mapping)
{
    const char *format = json_string_value(json_object_get(mapping, "format"));
    if (!format || !is_type(mapping, TIMES))
        return false;
    for (const char *at = format; *at;) {
        size_t size = strcspn(at, "|");
        bool foreign = (size >= 6 && strncmp(at, "epoch_", 6) == 0) ||
                       (size >= 6 && strncmp(at, "basic_", 6) == 0);
        if (size && !foreign)
            return false;
        at += size + strspn(at + size, "|");
    }
    return true;
}

static bool fits(const struct weir_type *type, const json_t *mapping)
{
    bool is_time = type->id == WEIR_DATE || type->id == WEIR_TIMESTAMP ||
                   type->id == WEIR_TIMESTAMPTZ;
    if (!is_type(mapping, known))
        return true;
    if (is_time && is_foreign_date(mapping))
        return false;
    if (type->id == WEIR_DECIMAL && type->scale == 0 && is_type(mapping, "long unsigned_long"))
        return true;
    return is_type(mapping, accepted[type->id]);
}

struct checking {
    const char *index;
    char path[PATH_MAX_SIZE];
};

static weir_status conflict(const struct checking *checking, const struct weir_type *column,
                            const json_t *mapping, struct weir_error *reterr)
{
    WEIR_AUTO(weir_buffer) type = {0};
    struct weir_account account;
    weir_account_init(&account, NULL, "opensearch", 0);
    type.account = &account;
    WEIR_TRY(weir_type_print(column, &type, reterr));
    char there[64];
    const json_t *named = json_object_get(mapping, "type");
    opensearch_word(named, there, sizeof there);
    weir_status status = weir_fail(
        reterr, WEIR_REFUSED, "index \"%s\": field \"%s\" is %s%s there, the column is %.120s",
        checking->index, checking->path, named ? there : "object",
        is_foreign_date(mapping) ? " of another format" : "", (const char *)type.data);
    weir_error_hint(reterr, "A field's type cannot be changed in place: name another index, or "
                            "leave the column out by `columns`.");
    return status;
}

/* What becomes of fields that a mapping does not declare; objects inherit it. */
static const json_t *dynamic_of(const json_t *mapping, const json_t *inherited)
{
    const json_t *own = json_object_get(mapping, "dynamic");
    return own ? own : inherited;
}

static weir_status struct_check(struct checking *checking, const struct weir_type *row,
                                const json_t *mapping, const json_t *dynamic,
                                struct weir_error *reterr)
{
    const json_t *properties = json_object_get(mapping, "properties");
    size_t length = strlen(checking->path);
    const char *mode = json_string_value(dynamic);
    for (uint32_t i = 0; i < row->child_count; i++) {
        const struct weir_field *field = &row->children[i];
        const struct weir_type *type = of_elements(&field->type);
        const json_t *there = field_find(properties, field->name);
        checking->path[length] = '\0';
        snprintf(checking->path + length, sizeof checking->path - length, "%s%s", length ? "." : "",
                 field->name);
        if (!there && mode && strncmp(mode, "strict", 6) == 0) {
            weir_status status = weir_fail(
                reterr, WEIR_REFUSED,
                "index \"%s\": field \"%s\" is not there, and its mapping is strict",
                checking->index, checking->path);
            weir_error_hint(reterr, "Add it to the index's mapping, or leave the column out by "
                                    "`columns`.");
            return status;
        }
        if (!there)
            continue;
        if (!fits(type, there))
            return conflict(checking, &field->type, there, reterr);
        if (type->id == WEIR_STRUCT && has_fields(there))
            WEIR_TRY(struct_check(checking, type, there, dynamic_of(there, dynamic), reterr));
    }
    checking->path[length] = '\0';
    return WEIR_OK;
}

weir_status opensearch_mapping_check(const struct weir_type *row, const json_t *mapping,
                                     const char *index, struct weir_error *reterr)
{
    /* a document with such a field is refused, whatever the mapping */
    static const char reserved[] = "_id _index _type _source _routing _field_names _ignored "
                                   "_nested_path _meta _size _version _seq_no _primary_term "
                                   "_doc_count _tier _data_stream_timestamp";
    struct checking checking = {.index = index};
    for (uint32_t i = 0; i < row->child_count; i++)
        if (is_one_of(row->children[i].name, strlen(row->children[i].name), reserved))
            return weir_fail(reterr, WEIR_REFUSED,
                             "column \"%s\": OpenSearch keeps this name for itself; leave the "
                             "column out by `columns`",
                             row->children[i].name);
    return struct_check(&checking, row, mapping, dynamic_of(mapping, NULL), reterr);
}

bool opensearch_field_known(const struct weir_type *row, const char *text, size_t size,
                            size_t *ret_size)
{
    for (uint32_t i = 0; i < row->child_count; i++) {
        const struct weir_field *field = &row->children[i];
        const struct weir_type *type = of_elements(&field->type);
        size_t length = strlen(field->name);
        if (length > size || memcmp(field->name, text, length) != 0)
            continue;
        if (length == size || (type->id == WEIR_MAP && text[length] == '.')) {
            *ret_size = length;
            return true;
        }
        size_t inner;
        if (type->id == WEIR_STRUCT && text[length] == '.' &&
            opensearch_field_known(type, text + length + 1, size - length - 1, &inner)) {
            *ret_size = length + 1 + inner;
            return true;
        }
    }
    return false;
}
