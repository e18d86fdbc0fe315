/* Functions of JSON in strings. No tree is built: a value is checked as a whole once, then walked
 * to the place asked for. */
#include "engine/base/limits.h"
#include "engine/expr/function_list.h"

#include <math.h>
#include <string.h>

/* ---- reading: each moves `at` behind what it read; false: no JSON ---- */

struct json {
    const uint8_t *at, *end;
};

static void json_space(struct json *json)
{
    while (json->at < json->end &&
           (*json->at == ' ' || *json->at == '\n' || *json->at == '\t' || *json->at == '\r'))
        json->at++;
}

static bool json_is(const struct json *json, char c)
{
    return json->at < json->end && *json->at == (uint8_t)c;
}

static bool hex4(const uint8_t *at, const uint8_t *end, uint32_t *ret)
{
    *ret = 0;
    for (int i = 0; i < 4; i++, at++) {
        int digit = at >= end                  ? -1
                    : *at >= '0' && *at <= '9' ? *at - '0'
                    : *at >= 'a' && *at <= 'f' ? *at - 'a' + 10
                    : *at >= 'A' && *at <= 'F' ? *at - 'A' + 10
                                               : -1;
        if (digit < 0)
            return false;
        *ret = *ret << 4 | (uint32_t)digit;
    }
    return true;
}

static bool json_string(struct json *json)
{
    uint32_t unit;
    for (json->at++; json->at < json->end; json->at++) {
        if (*json->at == '"') {
            json->at++;
            return true;
        }
        if (*json->at < 0x20)
            return false;
        if (*json->at != '\\')
            continue;
        if (++json->at >= json->end || !memchr("\"\\/bfnrtu", *json->at, 9))
            return false;
        if (*json->at == 'u' && !hex4(json->at + 1, json->end, &unit))
            return false;
    }
    return false;
}

static bool json_digits(struct json *json)
{
    const uint8_t *from = json->at;
    while (json->at < json->end && *json->at >= '0' && *json->at <= '9')
        json->at++;
    return json->at > from;
}

static bool json_number(struct json *json)
{
    if (json_is(json, '-'))
        json->at++;
    const uint8_t *from = json->at;
    if (!json_digits(json) || (*from == '0' && json->at > from + 1))
        return false;
    if (json_is(json, '.')) {
        json->at++;
        if (!json_digits(json))
            return false;
    }
    if (json_is(json, 'e') || json_is(json, 'E')) {
        json->at++;
        if (json_is(json, '-') || json_is(json, '+'))
            json->at++;
        return json_digits(json);
    }
    return true;
}

static bool json_word(struct json *json, const char *word)
{
    size_t size = strlen(word);
    if ((size_t)(json->end - json->at) < size || memcmp(json->at, word, size) != 0)
        return false;
    json->at += size;
    return true;
}

static bool json_value(struct json *json, int depth)
{
    json_space(json);
    if (json->at >= json->end || depth > WEIR_JSON_DEPTH_MAX)
        return false;
    uint8_t first = *json->at, close = first == '{' ? '}' : ']';
    switch (first) {
    case '"': return json_string(json);
    case 't': return json_word(json, "true");
    case 'f': return json_word(json, "false");
    case 'n': return json_word(json, "null");
    case '{':
    case '[': break;
    default: return json_number(json);
    }
    json->at++;
    json_space(json);
    for (bool more = !json_is(json, (char)close); more;) {
        json_space(json);
        if (first == '{') {
            if (!json_is(json, '"') || !json_string(json))
                return false;
            json_space(json);
            if (!json_is(json, ':'))
                return false;
            json->at++;
        }
        if (!json_value(json, depth + 1))
            return false;
        json_space(json);
        more = json_is(json, ',');
        json->at += more;
    }
    if (!json_is(json, (char)close))
        return false;
    json->at++;
    return true;
}

static bool json_valid(struct weir_bytes text)
{
    struct json json = {text.data, text.data + text.size};
    if (!text.size || !json_value(&json, 0))
        return false;
    json_space(&json);
    return json.at == json.end && weir_utf8_invalid(text.data, text.size) == text.size;
}

/* The next value of a checked text, without space around it. */
static struct weir_bytes json_next(struct json *json)
{
    json_space(json);
    const uint8_t *from = json->at;
    json_value(json, 0);
    struct weir_bytes value = {from, (size_t)(json->at - from)};
    json_space(json);
    return value;
}

/* ---- strings without their quotes and escapes ---- */

static size_t put_utf8(uint8_t *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (uint8_t)(0xC0 | c >> 6);
        out[1] = (uint8_t)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (uint8_t)(0xE0 | c >> 12);
        out[1] = (uint8_t)(0x80 | (c >> 6 & 63));
        out[2] = (uint8_t)(0x80 | (c & 63));
        return 3;
    }
    out[0] = (uint8_t)(0xF0 | c >> 18);
    out[1] = (uint8_t)(0x80 | (c >> 12 & 63));
    out[2] = (uint8_t)(0x80 | (c >> 6 & 63));
    out[3] = (uint8_t)(0x80 | (c & 63));
    return 4;
}

/* \uXXXX at `at` (the u), a pair of them too; a lone surrogate is U+FFFD. Bytes after the u. */
static size_t read_unicode(const uint8_t *at, const uint8_t *end, uint32_t *ret)
{
    uint32_t low;
    hex4(at + 1, end, ret);
    if (*ret < 0xD800 || *ret > 0xDFFF)
        return 4;
    bool pair = *ret < 0xDC00 && end - at >= 11 && at[5] == '\\' && at[6] == 'u' &&
                hex4(at + 7, end, &low) && low >= 0xDC00 && low <= 0xDFFF;
    *ret = pair ? 0x10000 + ((*ret - 0xD800) << 10) + (low - 0xDC00) : 0xFFFD;
    return pair ? 10 : 4;
}

static weir_status put_unescaped(struct weir_buffer *out, struct weir_bytes quoted,
                                 struct weir_error *reterr)
{
    const uint8_t *at = quoted.data + 1, *end = quoted.data + quoted.size - 1;
    WEIR_TRY(weir_buffer_reserve(out, quoted.size + 8, reterr));
    for (; at < end; at++) {
        uint32_t c;
        if (*at != '\\') {
            out->data[out->size++] = *at;
            continue;
        }
        switch (*++at) {
        case 'b': out->data[out->size++] = '\b'; break;
        case 'f': out->data[out->size++] = '\f'; break;
        case 'n': out->data[out->size++] = '\n'; break;
        case 'r': out->data[out->size++] = '\r'; break;
        case 't': out->data[out->size++] = '\t'; break;
        case 'u':
            at += read_unicode(at, end, &c);
            out->size += put_utf8(out->data + out->size, c);
            break;
        default: out->data[out->size++] = *at;
        }
    }
    return WEIR_OK;
}

/* Without space between values. */
static weir_status put_compact(struct weir_buffer *out, struct weir_bytes value,
                               struct weir_error *reterr)
{
    bool string = false;
    WEIR_TRY(weir_buffer_reserve(out, value.size + 1, reterr));
    for (size_t i = 0; i < value.size; i++) {
        uint8_t c = value.data[i];
        if (string && c == '\\') {
            out->data[out->size++] = c;
            c = value.data[++i];
        } else if (c == '"') {
            string = !string;
        } else if (!string && (c == ' ' || c == '\n' || c == '\t' || c == '\r')) {
            continue;
        }
        out->data[out->size++] = c;
    }
    return WEIR_OK;
}

/* ---- paths: $.a."b c"[0][-1], /a/0, a ---- */

struct path {
    struct weir_bytes rest;
    bool pointer, whole; /* whole: all of it is one key */
};

struct step {
    struct weir_bytes key;
    int64_t index;
    bool has_key, has_index;
};

static struct path path_begin(struct weir_bytes text)
{
    struct path path = {.rest = text};
    if (text.size && text.data[0] == '$') {
        path.rest = (struct weir_bytes){text.data + 1, text.size - 1};
    } else if (text.size && text.data[0] == '/') {
        path.pointer = true;
    } else {
        path.whole = true;
    }
    return path;
}

static void path_move(struct path *path, size_t by)
{
    path->rest.data += by;
    path->rest.size -= by;
}

static bool read_index(struct weir_bytes text, int64_t *ret)
{
    if (text.size && text.data[0] == '#') /* [#-1]: from the end */
        text = (struct weir_bytes){text.data + 1, text.size - 1};
    return weir_text_int64((const char *)text.data, text.size, ret);
}

static size_t until(struct weir_bytes text, size_t from, const char *ends)
{
    while (from < text.size && !strchr(ends, text.data[from]))
        from++;
    return from;
}

/* false: the path is wrong, or over (rest.size 0 before the call). */
static bool path_next(struct path *path, struct step *ret)
{
    struct weir_bytes rest = path->rest;
    size_t end;
    *ret = (struct step){.has_key = true, .key = rest};
    if (path->whole) {
        path_move(path, rest.size);
        return true;
    }
    if (path->pointer) {
        end = until(rest, 1, "/");
        ret->key = (struct weir_bytes){rest.data + 1, end - 1};
        ret->has_index = read_index(ret->key, &ret->index);
        path_move(path, end);
        return rest.data[0] == '/';
    }
    if (rest.data[0] == '[') {
        end = until(rest, 1, "]");
        ret->has_key = false;
        ret->has_index = end < rest.size &&
                         read_index((struct weir_bytes){rest.data + 1, end - 1}, &ret->index);
        path_move(path, ret->has_index ? end + 1 : rest.size);
        return ret->has_index;
    }
    if (rest.data[0] != '.')
        return false;
    bool quoted = rest.size > 1 && rest.data[1] == '"';
    end = quoted ? until(rest, 2, "\"") : until(rest, 1, ".[");
    ret->key = (struct weir_bytes){rest.data + 1 + quoted, end - 1 - quoted};
    if (quoted && end == rest.size)
        return false;
    path_move(path, end + quoted);
    return true;
}

static bool key_equal(struct weir_bytes quoted, struct weir_bytes key, struct weir_buffer *scratch)
{
    if (!memchr(quoted.data, '\\', quoted.size))
        return quoted.size == key.size + 2 && memcmp(quoted.data + 1, key.data, key.size) == 0;
    weir_buffer_clear(scratch);
    return put_unescaped(scratch, quoted, NULL) == WEIR_OK && scratch->size == key.size &&
           memcmp(scratch->data, key.data, key.size) == 0;
}

/* The value a step leads to. false: there is none. */
static bool json_step(struct weir_bytes value, const struct step *step, struct weir_buffer *scratch,
                      struct weir_bytes *ret)
{
    struct json json = {value.data + 1, value.data + value.size};
    bool object = value.data[0] == '{' && step->has_key,
         array = value.data[0] == '[' && step->has_index;
    int64_t wanted = step->index, at = 0;
    if (!object && !array)
        return false;
    if (array && wanted < 0) {
        struct json all = json;
        int64_t count = 0;
        json_space(&all);
        for (bool more = !json_is(&all, ']'); more; count++) {
            json_next(&all);
            more = json_is(&all, ',');
            all.at += more;
        }
        wanted += count;
    }
    json_space(&json);
    for (bool more = !json_is(&json, object ? '}' : ']'); more; at++) {
        struct weir_bytes key = {0};
        if (object) {
            key = json_next(&json);
            json.at++; /* the colon */
        }
        struct weir_bytes found = json_next(&json);
        if (object ? key_equal(key, step->key, scratch) : at == wanted) {
            *ret = found;
            return true;
        }
        more = json_is(&json, ',');
        json.at += more;
    }
    return false;
}

enum walk { WALK_FOUND, WALK_NONE, WALK_NO_JSON, WALK_NO_PATH };

/* lane NULL: the whole value */
static enum walk json_walk(struct weir_bytes text, const struct weir_lane *paths, uint32_t row,
                           struct weir_buffer *scratch, struct weir_bytes *ret)
{
    struct json json = {text.data, text.data + text.size};
    struct step step = {.has_index = true};
    if (!json_valid(text))
        return WALK_NO_JSON;
    *ret = json_next(&json);
    if (!paths)
        return WALK_FOUND;
    if (paths->flat->type->id == WEIR_LONG) {
        step.index = ((const int64_t *)paths->flat->values)[weir_lane(paths, row)];
        return json_step(*ret, &step, scratch, ret) ? WALK_FOUND : WALK_NONE;
    }
    struct path path = path_begin(weir_lane_bytes(paths, row));
    bool found = true, first = path.whole;
    while (path.rest.size || first) {
        first = false;
        if (!path_next(&path, &step))
            return WALK_NO_PATH;
        found = found && json_step(*ret, &step, scratch, ret);
    }
    return found ? WALK_FOUND : WALK_NONE;
}

/* ---- functions ---- */

static weir_status bind_json(struct weir_arena *arena, struct weir_node *call,
                             struct weir_error *reterr)
{
    const char *name = call->function->name;
    struct weir_type string = {.id = WEIR_STRING};
    WEIR_TRY(bind_as(arena, call, 0, WEIR_STRING, reterr));
    if (call->argument_count == 2)
        WEIR_TRY(bind_as(arena, call, 1,
                         type_is_integer(&call->arguments[1]->type) && !call->arguments[1]->unknown
                             ? WEIR_LONG
                             : WEIR_STRING,
                         reterr));
    if (strcmp(name, "json_keys") == 0)
        return list_type(arena, &string, &call->type, reterr);
    call->type.id = strcmp(name, "json_array_length") == 0 ? WEIR_LONG
                    : strcmp(name, "json_valid") == 0 || strcmp(name, "json_exists") == 0
                        ? WEIR_BOOLEAN
                        : WEIR_STRING;
    return WEIR_OK;
}

static bool valid_at(const struct weir_vector *ret, uint32_t row)
{
    return !ret->validity || weir_bit_get(ret->validity, row);
}

static const char *type_of(struct weir_bytes value)
{
    switch (value.data[0]) {
    case '{': return "OBJECT";
    case '[': return "ARRAY";
    case '"': return "VARCHAR";
    case 't':
    case 'f': return "BOOLEAN";
    case 'n': return "NULL";
    default: break;
    }
    for (size_t i = 0; i < value.size; i++)
        if (memchr(".eE", value.data[i], 3))
            return "DOUBLE";
    return value.data[0] == '-' ? "BIGINT" : "UBIGINT";
}

static weir_status put_found(struct weir_buffer *out, const char *name, struct weir_bytes value,
                             bool *ret_null, struct weir_error *reterr)
{
    bool text = strcmp(name, "->>") == 0 || strcmp(name, "#>>") == 0 ||
                strcmp(name, "json_extract_string") == 0 ||
                strcmp(name, "json_extract_path_text") == 0;
    if (strcmp(name, "json_type") == 0)
        return weir_buffer_print(out, reterr, "%s", type_of(value));
    *ret_null = text && value.data[0] == 'n';
    if (*ret_null)
        return WEIR_OK;
    return text && value.data[0] == '"' ? put_unescaped(out, value, reterr)
                                        : put_compact(out, value, reterr);
}

static weir_status walk_failed(struct weir_evaluation *evaluation, const struct weir_node *call,
                               enum walk walk, uint32_t row, struct weir_error *reterr)
{
    if (walk == WALK_NO_JSON)
        return weir_evaluation_fail(evaluation, call, row, reterr, "a text that is no JSON");
    return weir_evaluation_fail(evaluation, call, row, reterr,
                                "a JSON path is written $.name[0].\"other name\"");
}

static weir_status evaluate_extract(struct weir_evaluation *evaluation,
                                    const struct weir_node *call,
                                    const struct weir_vector *arguments, struct weir_vector *ret,
                                    struct weir_error *reterr)
{
    struct weir_lane text = weir_lane_of(&arguments[0]), paths = {0};
    struct text_writer writer;
    uint8_t *known;
    WEIR_AUTO(weir_buffer) scratch = {.account = evaluation->arena->account};
    if (call->argument_count == 2)
        paths = weir_lane_of(&arguments[1]);
    WEIR_TRY(expr_bitmap(evaluation->arena, evaluation->count, false, &known, reterr));
    weir_status status = text_begin(&writer, evaluation, &call->type, ret, reterr);
    for (uint32_t i = 0; i < evaluation->count && status == WEIR_OK; i++) {
        struct weir_bytes found;
        bool null = true;
        if (valid_at(ret, i)) {
            enum walk walk = json_walk(weir_lane_bytes(&text, i), paths.flat ? &paths : NULL, i,
                                       &scratch, &found);
            null = walk != WALK_FOUND;
            if (walk == WALK_FOUND)
                status = put_found(&writer.buffer, call->function->name, found, &null, reterr);
            else if (walk != WALK_NONE)
                status = walk_failed(evaluation, call, walk, i, reterr);
        }
        if (!null)
            weir_bit_set(known, i);
        if (status == WEIR_OK)
            status = text_row(&writer, reterr);
    }
    ret->validity = known;
    return text_finish(&writer, status, reterr);
}

/* Values of an array, or fields of an object. */
static int64_t count_of(struct weir_bytes value)
{
    struct json json = {value.data + 1, value.data + value.size};
    int64_t count = 0;
    if (value.data[0] != '[')
        return 0;
    json_space(&json);
    for (bool more = !json_is(&json, ']'); more; count++) {
        json_next(&json);
        more = json_is(&json, ',');
        json.at += more;
    }
    return count;
}

/* json_valid, json_exists, json_array_length */
static weir_status evaluate_look(struct weir_evaluation *evaluation, const struct weir_node *call,
                                 const struct weir_vector *arguments, struct weir_vector *ret,
                                 struct weir_error *reterr)
{
    struct weir_lane text = weir_lane_of(&arguments[0]), paths = {0};
    bool test = strcmp(call->function->name, "json_valid") == 0,
         length = call->type.id == WEIR_LONG;
    uint8_t *known;
    WEIR_AUTO(weir_buffer) scratch = {.account = evaluation->arena->account};
    if (call->argument_count == 2)
        paths = weir_lane_of(&arguments[1]);
    WEIR_TRY(expr_bitmap(evaluation->arena, evaluation->count, false, &known, reterr));
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        struct weir_bytes found;
        if (!valid_at(ret, i))
            continue;
        enum walk walk = json_walk(weir_lane_bytes(&text, i), paths.flat ? &paths : NULL, i,
                                   &scratch, &found);
        if (walk == WALK_NO_PATH || (walk == WALK_NO_JSON && !test))
            WEIR_TRY(walk_failed(evaluation, call, walk, i, reterr));
        if (!length || walk == WALK_FOUND)
            weir_bit_set(known, i);
        if (length)
            ((int64_t *)ret->values)[i] = walk == WALK_FOUND ? count_of(found) : 0;
        else if (walk == WALK_FOUND)
            weir_bit_set(ret->values, i);
    }
    ret->validity = known;
    return WEIR_OK;
}

/* ---- to_json ---- */

static weir_status put_quoted(struct weir_buffer *out, struct weir_bytes text,
                              struct weir_error *reterr)
{
    WEIR_TRY(weir_buffer_append(out, "\"", 1, reterr));
    for (size_t i = 0; i < text.size; i++) {
        static const char names[] = "btn\0fr";
        uint8_t c = text.data[i];
        if (c == '"' || c == '\\')
            WEIR_TRY(weir_buffer_print(out, reterr, "\\%c", c));
        else if (c >= 8 && c <= 13 && c != 11)
            WEIR_TRY(weir_buffer_print(out, reterr, "\\%c", names[c - 8]));
        else if (c < 0x20)
            WEIR_TRY(weir_buffer_print(out, reterr, "\\u%04x", c));
        else
            WEIR_TRY(weir_buffer_append(out, &c, 1, reterr));
    }
    return weir_buffer_append(out, "\"", 1, reterr);
}

static weir_status put_json(struct weir_buffer *out, const struct weir_vector *vector, uint32_t row,
                            struct weir_error *reterr);

/* A value as the text of a JSON string: as our own reader and writer of JSON have it, times in ISO
 * 8601 and bytes in base64; what a cast to text gives otherwise. */
static weir_status put_text(struct weir_buffer *out, const struct weir_vector *vector, uint32_t row,
                            struct weir_error *reterr)
{
    struct weir_lane lane = weir_lane_of(vector);
    uint32_t at = weir_lane(&lane, row);
    const int64_t *micros = lane.flat->values;
    const uint8_t *bytes = lane.flat->values;
    size_t size = vector->type->length;
    switch (vector->type->id) {
    case WEIR_TIMESTAMP:
    case WEIR_TIMESTAMPTZ:
        WEIR_TRY(weir_buffer_reserve(out, 41, reterr));
        out->size += vector->type->id == WEIR_TIMESTAMP
                         ? weir_print_timestamp((char *)out->data + out->size, micros[at])
                         : weir_print_timestamptz((char *)out->data + out->size, micros[at]);
        return WEIR_OK;
    case WEIR_FIXED: bytes += at * size; break;
    case WEIR_BINARY:
        size = (size_t)(lane.flat->offsets[at + 1] - lane.flat->offsets[at]);
        bytes = size ? bytes + lane.flat->offsets[at] : bytes;
        break;
    default: return weir_value_print(vector, row, out, reterr);
    }
    WEIR_TRY(weir_buffer_reserve(out, weir_base64_size(size) + 1, reterr));
    out->size += weir_base64_encode((char *)out->data + out->size, bytes, size);
    return WEIR_OK;
}

static weir_status put_nested(struct weir_buffer *out, const struct weir_vector *flat, uint32_t at,
                              struct weir_error *reterr)
{
    bool list = flat->type->id == WEIR_LIST, map = flat->type->id == WEIR_MAP;
    uint32_t from = list || map ? (uint32_t)flat->offsets[at] : 0,
             to = list || map ? (uint32_t)flat->offsets[at + 1] : flat->type->child_count;
    WEIR_TRY(weir_buffer_append(out, list ? "[" : "{", 1, reterr));
    for (uint32_t i = from; i < to; i++) {
        if (i > from)
            WEIR_TRY(weir_buffer_append(out, ",", 1, reterr));
        if (map) {
            WEIR_AUTO(weir_buffer) key = {.account = out->account};
            WEIR_TRY(put_text(&key, &flat->children[0], i, reterr));
            WEIR_TRY(put_quoted(out, (struct weir_bytes){key.data, key.size}, reterr));
        } else if (!list) {
            const char *name = flat->type->children[i].name;
            WEIR_TRY(
                put_quoted(out, (struct weir_bytes){(const uint8_t *)name, strlen(name)}, reterr));
        }
        if (!list)
            WEIR_TRY(weir_buffer_append(out, ":", 1, reterr));
        WEIR_TRY(put_json(out,
                          &flat->children[list  ? 0
                                          : map ? 1
                                                : i],
                          list || map ? i : at, reterr));
    }
    return weir_buffer_append(out, list ? "]" : "}", 1, reterr);
}

static weir_status put_json(struct weir_buffer *out, const struct weir_vector *vector, uint32_t row,
                            struct weir_error *reterr)
{
    struct weir_lane lane = weir_lane_of(vector);
    uint32_t at = weir_lane(&lane, row);
    const struct weir_type *type = vector->type;
    if (!weir_lane_valid(&lane, row))
        return weir_buffer_print(out, reterr, "null");
    if (weir_type_is_nested(type->id))
        return put_nested(out, lane.flat, at, reterr);
    if ((type->id == WEIR_DOUBLE && !isfinite(((const double *)lane.flat->values)[at])) ||
        (type->id == WEIR_FLOAT && !isfinite(((const float *)lane.flat->values)[at])))
        return weir_buffer_print(out, reterr, "null"); /* JSON has no such number */
    if (type->id == WEIR_BOOLEAN || type_is_number(type))
        return weir_value_print(vector, row, out, reterr);
    WEIR_AUTO(weir_buffer) text = {.account = out->account};
    WEIR_TRY(put_text(&text, vector, row, reterr));
    return put_quoted(out, (struct weir_bytes){text.data, text.size}, reterr);
}

static weir_status bind_to_json(struct weir_arena *arena, struct weir_node *call,
                                struct weir_error *reterr)
{
    (void)arena;
    (void)reterr;
    call->arguments[0]->unknown = false;
    call->type = (struct weir_type){.id = WEIR_STRING};
    return WEIR_OK;
}

static weir_status evaluate_to_json(struct weir_evaluation *evaluation,
                                    const struct weir_node *call,
                                    const struct weir_vector *arguments, struct weir_vector *ret,
                                    struct weir_error *reterr)
{
    struct text_writer writer;
    weir_status status = text_begin(&writer, evaluation, &call->type, ret, reterr);
    for (uint32_t i = 0; i < evaluation->count && status == WEIR_OK; i++) {
        if (valid_at(ret, i))
            status = put_json(&writer.buffer, &arguments[0], i, reterr);
        if (status == WEIR_OK)
            status = text_row(&writer, reterr);
    }
    return text_finish(&writer, status, reterr);
}

/* ---- json_keys ---- */

static weir_status put_keys(struct weir_bytes value, struct weir_buffer *ends,
                            struct weir_buffer *out, struct weir_error *reterr)
{
    struct json json = {value.data + 1, value.data + value.size};
    if (value.data[0] != '{')
        return WEIR_OK;
    json_space(&json);
    for (bool more = !json_is(&json, '}'); more;) {
        WEIR_TRY(put_unescaped(out, json_next(&json), reterr));
        json.at++;
        json_next(&json);
        if (out->size > WEIR_BATCH_BYTES_MAX)
            return weir_fail(reterr, WEIR_NO_MEMORY, "a batch of strings of more than %u bytes",
                             WEIR_BATCH_BYTES_MAX);
        int32_t end = (int32_t)out->size;
        WEIR_TRY(weir_buffer_append(ends, &end, sizeof end, reterr));
        more = json_is(&json, ',');
        json.at += more;
    }
    return WEIR_OK;
}

static weir_status evaluate_keys(struct weir_evaluation *evaluation, const struct weir_node *call,
                                 const struct weir_vector *arguments, struct weir_vector *ret,
                                 struct weir_error *reterr)
{
    struct weir_lane text = weir_lane_of(&arguments[0]), paths = {0};
    struct weir_arena *arena = evaluation->arena;
    WEIR_AUTO(weir_buffer)
    ends = {.account = arena->account}, out = {.account = arena->account},
    scratch = {.account = arena->account};
    struct weir_vector *child;
    int32_t *offsets, zero = 0;
    if (call->argument_count == 2)
        paths = weir_lane_of(&arguments[1]);
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *child, &child, reterr));
    WEIR_TRY(
        weir_arena_zero(arena, (size_t)evaluation->count + 17, sizeof *offsets, &offsets, reterr));
    WEIR_TRY(weir_buffer_append(&ends, &zero, sizeof zero, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        struct weir_bytes found;
        enum walk walk = WALK_NONE;
        if (valid_at(ret, i))
            walk = json_walk(weir_lane_bytes(&text, i), paths.flat ? &paths : NULL, i, &scratch,
                             &found);
        if (walk == WALK_FOUND)
            WEIR_TRY(put_keys(found, &ends, &out, reterr));
        else if (walk != WALK_NONE)
            WEIR_TRY(walk_failed(evaluation, call, walk, i, reterr));
        offsets[i + 1] = (int32_t)(ends.size / sizeof zero) - 1;
    }
    WEIR_TRY(weir_arena_alloc(arena, ends.size + 64, &child->offsets, reterr));
    memcpy(child->offsets, ends.data, ends.size);
    WEIR_TRY(weir_arena_alloc(arena, out.size + 64, &child->values, reterr));
    if (out.size)
        memcpy(child->values, out.data, out.size);
    child->type = &call->type.children[0].type;
    child->count = (uint32_t)(ends.size / sizeof zero) - 1;
    *ret = (struct weir_vector){.type = &call->type,
                                .count = evaluation->count,
                                .validity = ret->validity,
                                .offsets = offsets,
                                .children = child};
    return WEIR_OK;
}

#define JSON(name, signature, doc, least, most, evaluate)                                          \
    {                                                                                              \
        name, "json", signature, doc, WEIR_FUNCTION_STRICT, least, most, bind_json, evaluate, NULL \
    }

const struct weir_function functions_json[] = {
    JSON("json_extract", "json_extract(json, path)", "the value there as JSON, or null", 2, 2,
         evaluate_extract),
    JSON("json_extract_path", "json_extract_path(json, key)", "the value there as JSON, or null", 2,
         2, evaluate_extract),
    JSON("->", "json -> path", "the value there as JSON, or null", 2, 2, evaluate_extract),
    JSON("json_extract_string", "json_extract_string(json, path)", "the value there as text", 2, 2,
         evaluate_extract),
    JSON("json_extract_path_text", "json_extract_path_text(json, key)", "the value there as text",
         2, 2, evaluate_extract),
    JSON("->>", "json ->> path", "the value there as text", 2, 2, evaluate_extract),
    JSON("json_type", "json_type(json, path)", "OBJECT, ARRAY, VARCHAR, BIGINT, DOUBLE, ...", 1, 2,
         evaluate_extract),
    JSON("json", "json(text)", "checked, and without space", 1, 1, evaluate_extract),
    JSON("json_array_length", "json_array_length(json, path)", "how many values the array has", 1,
         2, evaluate_look),
    JSON("json_valid", "json_valid(text)", "whether it is JSON", 1, 1, evaluate_look),
    JSON("json_exists", "json_exists(json, path)", "whether there is a value", 2, 2, evaluate_look),
    JSON("json_keys", "json_keys(json, path)", "the names of the object", 1, 2, evaluate_keys),
    {"to_json", "json", "to_json(x)", "any value as JSON", WEIR_FUNCTION_STRICT, 1, 1, bind_to_json,
     evaluate_to_json, NULL},
    {0},
};
