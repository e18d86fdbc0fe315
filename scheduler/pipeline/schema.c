/* The table of keys as a JSON Schema for editors, and as Markdown for docs/pipeline.md. */
#include "scheduler/pipeline/pipeline_int.h"

#include "engine/base/text.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static json_t *value_schema(const struct key *key);
static json_t *map_schema(const char *path);

/* Any scalar may come from the environment. */
static json_t *or_environment(json_t *schema)
{
    return json_pack("{s:[o, {s:s, s:s}]}", "anyOf", schema, "type", "string", "pattern", "\\$\\{");
}

static json_t *choice_schema(const char *limit)
{
    json_t *words = json_array();
    while (*limit) {
        size_t size = strcspn(limit, "|");
        json_array_append_new(words, json_stringn(limit, size));
        limit += size + (limit[size] == '|');
    }
    return or_environment(json_pack("{s:o}", "enum", words));
}

static json_t *whole_schema(const char *limit, bool automatic)
{
    json_t *schema = json_pack("{s:s}", "type", "integer");
    const char *dots = strstr(limit, "..");
    int64_t value;
    if (dots && weir_text_int64(limit, (size_t)(dots - limit), &value))
        json_object_set_new(schema, "minimum", json_integer(value));
    if (dots && weir_text_int64(dots + 2, strlen(dots + 2), &value))
        json_object_set_new(schema, "maximum", json_integer(value));
    return automatic ? json_pack("{s:[o, {s:s}]}", "anyOf", schema, "const", "auto")
                     : or_environment(schema);
}

static json_t *scalar_schema(const struct key *key)
{
    switch (key->kind) {
    case KIND_CHOICE: return choice_schema(key->limit);
    case KIND_BOOLEAN: return or_environment(json_pack("{s:s}", "type", "boolean"));
    case KIND_WHOLE: return whole_schema(key->limit, false);
    case KIND_THREADS: return whole_schema(key->limit, true);
    case KIND_SIZE:
    case KIND_SIZE_OR_PERCENT:
    case KIND_PERCENT:
    case KIND_TEXT:
    case KIND_PROPERTY: return json_pack("{s:[s, s, s]}", "type", "string", "number", "boolean");
    default: return json_pack("{s:s}", "type", "string");
    }
}

static json_t *list_schema(const struct key *key)
{
    char item[256];
    snprintf(item, sizeof item, "%s/-", key->path);
    return json_pack("{s:s, s:o}", "type", "array", "items",
                     key_by_path(item) ? map_schema(item) : scalar_schema(key));
}

static json_t *value_schema(const struct key *key)
{
    json_t *schema;
    if (key->later)
        return json_pack("{s:{}, s:s}", "not", "description", "not in this version of Weir");
    switch (key->shape) {
    case SHAPE_MAP: schema = map_schema(key->path); break;
    case SHAPE_LIST: schema = list_schema(key); break;
    case SHAPE_ONE_OR_LIST:
        schema = json_pack("{s:[o, o]}", "anyOf", scalar_schema(key), list_schema(key));
        break;
    case SHAPE_SCALAR_OR_MAP:
        schema = json_pack("{s:[o, o]}", "anyOf", scalar_schema(key), map_schema(key->path));
        break;
    default: schema = scalar_schema(key); break;
    }
    json_object_set_new(schema, "description", json_string(key->help));
    if (key->fallback && *key->fallback && key->shape != SHAPE_MAP)
        json_object_set_new(schema, "default", json_string(key->fallback));
    return schema;
}

static json_t *map_schema(const char *path)
{
    json_t *schema = json_pack("{s:s}", "type", "object"), *properties = json_object(),
           *required = json_array(), *other = json_false();
    for (size_t i = 0; i < key_count; i++) {
        const char *last = key_below(&keys[i], path);
        if (!last)
            continue;
        if (strcmp(last, "*") == 0) {
            json_decref(other);
            other = value_schema(&keys[i]);
            continue;
        }
        json_object_set_new(properties, last, value_schema(&keys[i]));
        if (!keys[i].later && !keys[i].fallback)
            json_array_append_new(required, json_string(last));
    }
    if (json_object_size(properties))
        json_object_set(schema, "properties", properties);
    if (json_array_size(required))
        json_object_set(schema, "required", required);
    json_decref(properties);
    json_decref(required);
    json_object_set_new(schema, "additionalProperties", other);
    return schema;
}

weir_status weir_pipeline_schema(struct weir_buffer *out, struct weir_error *reterr)
{
    json_t *schema = json_pack("{s:s, s:s}", "$schema",
                               "https://json-schema.org/draft/2020-12/schema", "title",
                               "Weir pipeline file"),
           *top = map_schema("");
    char *text = NULL;
    if (schema && top && json_object_update(schema, top) == 0)
        text = json_dumps(schema, JSON_INDENT(2));
    json_decref(schema);
    json_decref(top);
    if (!text)
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for the JSON Schema");
    weir_status status = weir_buffer_print(out, reterr, "%s\n", text);
    free(text);
    return status;
}

static const char *kind_word(const struct key *key)
{
    static const char *const words[] = {
        [KIND_NONE] = "",
        [KIND_TEXT] = "text",
        [KIND_NAME] = "name",
        [KIND_BUCKET_PART] = "name",
        [KIND_CHOICE] = "",
        [KIND_BOOLEAN] = "true, false",
        [KIND_WHOLE] = "whole number",
        [KIND_SIZE] = "size",
        [KIND_SIZE_OR_PERCENT] = "size or share",
        [KIND_PERCENT] = "share",
        [KIND_DURATION] = "duration",
        [KIND_THREADS] = "whole number, auto",
        [KIND_PATH] = "path",
        [KIND_SECRET] = "secret",
        [KIND_REFERENCE] = "text, file:",
        [KIND_PROPERTY] = "text, file:",
        [KIND_START] = "earliest, latest, time",
        [KIND_EXPRESSION] = "SQL",
        [KIND_TYPE] = "type",
        [KIND_TRANSFORM] = "transform",
        [KIND_SORT] = "sort order",
        [KIND_CODEC] = "codec",
    };
    return words[key->kind];
}

static weir_status table_row(const struct key *key, struct weir_buffer *out,
                             struct weir_error *reterr)
{
    static const char *const shapes[] = {[SHAPE_MAP] = "map",
                                         [SHAPE_LIST] = "list",
                                         [SHAPE_ONE_OR_LIST] = "list of ",
                                         [SHAPE_SCALAR_OR_MAP] = ""};
    WEIR_TRY(weir_buffer_print(out, reterr, "| `"));
    for (const char *c = key->path; *c; c++)
        WEIR_TRY(weir_buffer_append(out, *c == '/' ? "." : c, 1, reterr));
    WEIR_TRY(weir_buffer_print(
        out, reterr, "` | %s%s",
        key->shape == SHAPE_SCALAR || !shapes[key->shape] ? "" : shapes[key->shape],
        kind_word(key)));
    if (key->kind == KIND_CHOICE)
        for (const char *c = key->limit; *c; c++)
            WEIR_TRY(*c == '|' ? weir_buffer_print(out, reterr, ", ")
                               : weir_buffer_append(out, c, 1, reterr));
    else if (*key->limit)
        WEIR_TRY(weir_buffer_print(out, reterr, " %s", key->limit));
    WEIR_TRY(
        weir_buffer_print(out, reterr, "%s", key->shape == SHAPE_SCALAR_OR_MAP ? ", or map" : ""));
    WEIR_TRY(weir_buffer_print(
        out, reterr, " | %s%s%s | ", key->fallback && *key->fallback ? "`" : "",
        key->fallback ? key->fallback : "required", key->fallback && *key->fallback ? "`" : ""));
    for (const char *c = key->help; *c; c++)
        WEIR_TRY(*c == '|' ? weir_buffer_print(out, reterr, "\\|")
                           : weir_buffer_append(out, c, 1, reterr));
    return weir_buffer_print(out, reterr, " |\n");
}

weir_status weir_pipeline_key_table(struct weir_buffer *out, struct weir_error *reterr)
{
    WEIR_TRY(
        weir_buffer_print(out, reterr, "| key | value | default | meaning |\n|---|---|---|---|\n"));
    for (size_t i = 0; i < key_count; i++)
        if (!keys[i].later)
            WEIR_TRY(table_row(&keys[i], out, reterr));
    return WEIR_OK;
}
