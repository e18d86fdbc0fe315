/* Type strings of the pipeline file and back: `struct<a:int, b:list<string required>>`. One
 * recursive descent over the text, depth and field count limited by limits.h; whatever is wrong is
 * said with its byte position. */
#include "engine/base/limits.h"
#include "engine/base/text.h"
#include "engine/vec/type.h"

#include <string.h>

struct type_reader {
    struct weir_arena *arena;
    const char *text;
    size_t at;       /* next byte to read */
    size_t error_at; /* where the error is, once there is one */
    uint32_t depth;
    uint32_t fields; /* fields read so far, all levels together */
    struct weir_error *reterr;
};

static weir_status reader_nested(struct type_reader *reader, struct weir_type *type);

/* Words that other systems use for our types: the nearest by letters would mislead. */
static const struct {
    const char *foreign, *ours;
} other_words[] = {
    {"bool", "boolean"},
    {"integer", "int"},
    {"int32", "int"},
    {"int64", "long"},
    {"bigint", "long"},
    {"int8", "int"},
    {"int16", "int"},
    {"smallint", "int"},
    {"tinyint", "int"},
    {"float32", "float"},
    {"float64", "double"},
    {"real", "float"},
    {"number", "double"},
    {"numeric", "decimal(P,S)"},
    {"varchar", "string"},
    {"text", "string"},
    {"char", "string"},
    {"bytes", "binary"},
    {"blob", "binary"},
    {"datetime", "timestamptz"},
    {"timestamp_tz", "timestamptz"},
    {"timestamp_ntz", "timestamp"},
    {"array", "list<...>"},
    {"record", "struct<...>"},
    {"row", "struct<...>"},
    {"object", "struct<...>"},
    {"dict", "map<..., ...>"},
};

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static void reader_space(struct type_reader *reader)
{
    while (reader->text[reader->at] == ' ' || reader->text[reader->at] == '\t' ||
           reader->text[reader->at] == '\n' || reader->text[reader->at] == '\r')
        reader->at++;
}

static bool reader_take(struct type_reader *reader, char c)
{
    reader_space(reader);
    if (reader->text[reader->at] != c)
        return false;
    reader->at++;
    return true;
}

/* What stands at `at`, in words, for "but there is ...". */
static const char *found_text(const struct type_reader *reader, char out[24])
{
    unsigned char c = (unsigned char)reader->text[reader->at];
    if (c == 0)
        return "the end";
    if (c < 0x20 || c == 0x7f)
        return "a control character";
    if (c >= 0x80)
        return "a letter beyond ASCII";
    out[0] = '\'', out[1] = (char)c, out[2] = '\'', out[3] = 0;
    return out;
}

static weir_status reader_expected(struct type_reader *reader, const char *what)
{
    char found[24];
    reader_space(reader);
    reader->error_at = reader->at;
    return weir_fail(reader->reterr, WEIR_USAGE, "expected %s, but there is %s", what,
                     found_text(reader, found));
}

/* A run of word characters; may be empty. */
static size_t reader_word(struct type_reader *reader, const char **ret_word)
{
    reader_space(reader);
    *ret_word = reader->text + reader->at;
    size_t size = 0;
    while (is_word((*ret_word)[size]))
        size++;
    reader->at += size;
    return size;
}

static weir_status unknown_type(struct type_reader *reader, const char *word, size_t size)
{
    char name[64];
    size_t cut = size < sizeof name - 1 ? size : sizeof name - 1;
    memcpy(name, word, cut);
    name[cut] = 0;
    reader->error_at = (size_t)(word - reader->text);
    weir_status status = weir_fail(reader->reterr, WEIR_USAGE, "unknown type '%s'", name);
    const char *nearest = NULL;
    for (size_t i = 0; i < sizeof other_words / sizeof *other_words && !nearest; i++)
        if (strcasecmp(name, other_words[i].foreign) == 0)
            nearest = other_words[i].ours;
    size_t best = 3;
    for (int id = 0; id < WEIR_TYPE_COUNT && (!nearest || best < 3); id++) {
        size_t distance = weir_text_distance(name, weir_type_name(id));
        if (strcasecmp(name, weir_type_name(id)) == 0)
            distance = 0;
        if (distance < best && distance < strlen(name)) {
            best = distance;
            nearest = weir_type_name(id);
        }
    }
    if (nearest)
        weir_error_hint(reader->reterr, "did you mean '%s'?", nearest);
    else
        weir_error_hint(
            reader->reterr,
            "types: boolean, int, long, float, double, decimal(P,S), date, time, timestamp, "
            "timestamptz, string, uuid, fixed(L), binary, struct<...>, list<...>, map<..., ...>");
    return status;
}

static weir_status reader_number(struct type_reader *reader, const char *what, uint32_t low,
                                 uint32_t high, uint32_t *ret_number)
{
    const char *word;
    size_t start, size;
    reader_space(reader);
    start = reader->at;
    size = reader_word(reader, &word);
    int64_t value;
    if (size == 0)
        return reader_expected(reader, what);
    if (word[0] < '0' || word[0] > '9' || !weir_text_int64(word, size, &value) || value < low ||
        value > high) {
        reader->error_at = start;
        return weir_fail(reader->reterr, WEIR_USAGE, "%s must be a number from %u to %u", what, low,
                         high);
    }
    *ret_number = (uint32_t)value;
    return WEIR_OK;
}

static weir_status reader_decimal(struct type_reader *reader, struct weir_type *type)
{
    uint32_t precision, scale = 0;
    if (!reader_take(reader, '('))
        return reader_expected(reader,
                               "'(' and precision and scale after decimal, as in decimal(9,2)");
    WEIR_TRY(reader_number(reader, "the precision of a decimal", 1, 38, &precision));
    if (reader_take(reader, ','))
        WEIR_TRY(reader_number(reader, "the scale of a decimal", 0, precision, &scale));
    if (!reader_take(reader, ')'))
        return reader_expected(reader, "')'");
    type->precision = (uint8_t)precision;
    type->scale = (uint8_t)scale;
    return WEIR_OK;
}

static weir_status reader_fixed(struct type_reader *reader, struct weir_type *type)
{
    bool square = reader_take(reader, '[');
    if (!square && !reader_take(reader, '('))
        return reader_expected(reader, "'(' and the length after fixed, as in fixed(16)");
    WEIR_TRY(reader_number(reader, "the length of fixed", 1, WEIR_FIXED_SIZE_MAX, &type->length));
    if (!reader_take(reader, square ? ']' : ')'))
        return reader_expected(reader, square ? "']'" : "')'");
    return WEIR_OK;
}

/* A type and, if it stands there, the word `required` behind it. */
static weir_status reader_type(struct type_reader *reader, struct weir_type *ret_type,
                               bool *ret_required)
{
    struct weir_type type = {0};
    const char *word;
    size_t size = reader_word(reader, &word);
    if (size == 0)
        return reader_expected(reader, "a type");
    int id = 0;
    while (id < WEIR_TYPE_COUNT &&
           (strlen(weir_type_name(id)) != size || memcmp(weir_type_name(id), word, size) != 0))
        id++;
    if (id == WEIR_TYPE_COUNT)
        return unknown_type(reader, word, size);
    type.id = (enum weir_type_id)id;
    if (type.id == WEIR_DECIMAL)
        WEIR_TRY(reader_decimal(reader, &type));
    else if (type.id == WEIR_FIXED)
        WEIR_TRY(reader_fixed(reader, &type));
    else if (weir_type_is_nested(type.id)) {
        if (++reader->depth >= WEIR_SCHEMA_DEPTH_MAX) {
            reader->error_at = (size_t)(word - reader->text);
            return weir_fail(reader->reterr, WEIR_USAGE, "types nested deeper than %d",
                             WEIR_SCHEMA_DEPTH_MAX);
        }
        WEIR_TRY(reader_nested(reader, &type));
        reader->depth--;
    }
    size_t before = reader->at;
    size = reader_word(reader, &word);
    *ret_required = size == 8 && memcmp(word, "required", 8) == 0;
    if (size != 0 && !*ret_required) {
        reader->error_at = (size_t)(word - reader->text);
        weir_status status = weir_fail(reader->reterr, WEIR_USAGE,
                                       "unexpected '%.*s' after the type",
                                       size < 64 ? (int)size : 64, word);
        weir_error_hint(reader->reterr, "only the word 'required' may follow a type");
        return status;
    }
    if (!*ret_required)
        reader->at = before;
    *ret_type = type;
    return WEIR_OK;
}

static weir_status reader_field(struct type_reader *reader, struct weir_field *field,
                                const char *name)
{
    if (++reader->fields > WEIR_SCHEMA_FIELDS_MAX) {
        reader->error_at = reader->at;
        return weir_fail(reader->reterr, WEIR_USAGE, "more than %d fields", WEIR_SCHEMA_FIELDS_MAX);
    }
    field->name = name;
    return reader_type(reader, &field->type, &field->required);
}

static bool is_name_end(unsigned char c)
{
    return c <= ' ' || c == 0x7f || strchr(":,<>()[]{}\"'`", c) != NULL;
}

/* A plain name, or one in double quotes where \" and \\ stand for themselves. */
static weir_status reader_name(struct type_reader *reader, char **ret_name)
{
    reader_space(reader);
    const char *start = reader->text + reader->at;
    size_t size = 0, used = 0;
    bool quoted = *start == '"';
    if (quoted) {
        for (size = 1; start[size] != '"'; size++) {
            if (start[size] == '\\' && (start[size + 1] == '"' || start[size + 1] == '\\'))
                size++;
            if (start[size] == 0) {
                reader->error_at = reader->at;
                return weir_fail(reader->reterr, WEIR_USAGE, "the quoted field name does not end");
            }
        }
        size++;
    } else {
        while (!is_name_end((unsigned char)start[size]))
            size++;
    }
    if (size == (quoted ? 2u : 0u))
        return reader_expected(reader, "a field name");
    char *name;
    WEIR_TRY(weir_arena_alloc(reader->arena, size + 1, &name, reader->reterr));
    for (size_t i = quoted; i < size - quoted; i++) {
        if (quoted && start[i] == '\\' && (start[i + 1] == '"' || start[i + 1] == '\\'))
            i++;
        name[used++] = start[i];
    }
    name[used] = 0;
    if (used > WEIR_NAME_SIZE_MAX || weir_utf8_invalid((const uint8_t *)name, used) != used) {
        reader->error_at = reader->at;
        return used > WEIR_NAME_SIZE_MAX
                   ? weir_fail(reader->reterr, WEIR_USAGE, "a field name of %zu bytes, at most %d",
                               used, WEIR_NAME_SIZE_MAX)
                   : weir_fail(reader->reterr, WEIR_USAGE, "the field name is not UTF-8");
    }
    reader->at += size;
    *ret_name = name;
    return WEIR_OK;
}

/* Room for one more child: the array doubles, old ones stay in the arena, which dies soon. */
static weir_status children_grow(struct type_reader *reader, struct weir_type *type,
                                 uint32_t *capacity)
{
    if (type->child_count < *capacity)
        return WEIR_OK;
    uint32_t more = *capacity ? *capacity * 2 : 4;
    struct weir_field *children;
    WEIR_TRY(weir_arena_zero(reader->arena, more, sizeof *children, &children, reader->reterr));
    if (type->child_count)
        memcpy(children, type->children, type->child_count * sizeof *children);
    type->children = children;
    *capacity = more;
    return WEIR_OK;
}

static weir_status reader_struct(struct type_reader *reader, struct weir_type *type)
{
    uint32_t capacity = 0;
    do {
        reader_space(reader);
        size_t name_at = reader->at;
        char *name;
        WEIR_TRY(reader_name(reader, &name));
        if (weir_type_child(type, name, strlen(name))) {
            reader->error_at = name_at;
            return weir_fail(reader->reterr, WEIR_USAGE, "field '%s' twice in one struct", name);
        }
        if (!reader_take(reader, ':'))
            return reader_expected(reader, "':' and a type after the field name");
        WEIR_TRY(children_grow(reader, type, &capacity));
        WEIR_TRY(reader_field(reader, &type->children[type->child_count], name));
        type->child_count++;
    } while (reader_take(reader, ','));
    return WEIR_OK;
}

static weir_status reader_nested(struct type_reader *reader, struct weir_type *type)
{
    if (!reader_take(reader, '<')) {
        return reader_expected(
            reader,
            type->id == WEIR_STRUCT ? "'<' and fields after struct, as in struct<a:int, b:string>"
            : type->id == WEIR_LIST ? "'<' and the element's type after list, as in list<string>"
                                    : "'<' and two types after map, as in map<string, long>");
    }
    if (type->id == WEIR_STRUCT) {
        WEIR_TRY(reader_struct(reader, type));
    } else {
        uint32_t count = type->id == WEIR_LIST ? 1 : 2;
        WEIR_TRY(weir_arena_zero(reader->arena, count, sizeof *type->children, &type->children,
                                 reader->reterr));
        type->child_count = count;
        WEIR_TRY(reader_field(reader, &type->children[0], count == 1 ? "element" : "key"));
        if (count == 2) {
            type->children[0].required = true; /* Iceberg: a map's key always is */
            if (!reader_take(reader, ','))
                return reader_expected(reader, "',' and the value's type");
            WEIR_TRY(reader_field(reader, &type->children[1], "value"));
        }
    }
    if (!reader_take(reader, '>'))
        return reader_expected(reader, type->id == WEIR_STRUCT ? "',' or '>'" : "'>'");
    return WEIR_OK;
}

weir_status weir_type_parse_column(struct weir_arena *arena, const char *text,
                                   struct weir_type *ret_type, bool *ret_required,
                                   size_t *ret_position, struct weir_error *reterr)
{
    struct type_reader reader = {.arena = arena, .text = text, .reterr = reterr};
    struct weir_type type = {0};
    bool required = false;
    reader.error_at = 0;
    weir_status status = reader_type(&reader, &type, &required);
    if (status == WEIR_OK) {
        reader_space(&reader);
        if (text[reader.at] != 0)
            status = reader_expected(&reader, "the end of the type");
    }
    if (status != WEIR_OK) {
        if (ret_position)
            *ret_position = reader.error_at;
        return status;
    }
    *ret_type = type;
    *ret_required = required;
    return WEIR_OK;
}

weir_status weir_type_parse(struct weir_arena *arena, const char *text, struct weir_type *ret_type,
                            struct weir_error *reterr)
{
    struct weir_type type;
    bool required = false;
    size_t position = 0;
    weir_status status = weir_type_parse_column(arena, text, &type, &required, &position, reterr);
    if (status == WEIR_OK && required)
        status = weir_fail(reterr, WEIR_USAGE, "'required' belongs to a field, not to a type");
    if (status == WEIR_USAGE)
        weir_error_prefix(reterr, "type at %zu", position + 1);
    if (status == WEIR_OK)
        *ret_type = type;
    return status;
}

static weir_status print_name(const char *name, struct weir_buffer *out, struct weir_error *reterr)
{
    bool plain = *name != 0;
    for (const char *c = name; *c && plain; c++)
        plain = !is_name_end((unsigned char)*c);
    if (plain)
        return weir_buffer_append(out, name, strlen(name), reterr);
    WEIR_TRY(weir_buffer_append(out, "\"", 1, reterr));
    for (const char *c = name; *c; c++) {
        if (*c == '"' || *c == '\\')
            WEIR_TRY(weir_buffer_append(out, "\\", 1, reterr));
        WEIR_TRY(weir_buffer_append(out, c, 1, reterr));
    }
    return weir_buffer_append(out, "\"", 1, reterr);
}

weir_status weir_type_print(const struct weir_type *type, struct weir_buffer *out,
                            struct weir_error *reterr)
{
    if (type->id == WEIR_DECIMAL)
        return weir_buffer_print(out, reterr, "decimal(%u,%u)", type->precision, type->scale);
    if (type->id == WEIR_FIXED)
        return weir_buffer_print(out, reterr, "fixed(%u)", type->length);
    WEIR_TRY(weir_buffer_print(out, reterr, "%s", weir_type_name(type->id)));
    if (!weir_type_is_nested(type->id))
        return WEIR_OK;
    for (uint32_t i = 0; i < type->child_count; i++) {
        const struct weir_field *field = &type->children[i];
        WEIR_TRY(weir_buffer_print(out, reterr, "%s", i ? ", " : "<"));
        if (type->id == WEIR_STRUCT) {
            WEIR_TRY(print_name(field->name, out, reterr));
            WEIR_TRY(weir_buffer_append(out, ":", 1, reterr));
        }
        WEIR_TRY(weir_type_print(&field->type, out, reterr));
        if (field->required && !(type->id == WEIR_MAP && i == 0))
            WEIR_TRY(weir_buffer_print(out, reterr, " required"));
    }
    return weir_buffer_print(out, reterr, "%s", type->child_count ? ">" : "<>");
}
