/* Schema resolution: what is done with each value of a writer's schema so that columns are filled.
 * What cannot be is a node that refuses the record, so that it costs only records that have such a
 * value: a branch of a union that nobody takes costs nothing. */
#include "formats/avro/rows_int.h"

#include <jansson.h>
#include <string.h>

struct compiler {
    struct weir_arena *arena;
    const struct weir_avro_plan_options *options;
    struct weir_avro_plan *plan;
    size_t nodes;
    struct weir_error *reterr;
};

/* A place in the columns. */
struct target {
    const struct weir_field *field;
    uint32_t column;
    const char *path;
};

static weir_status compile(struct compiler *compiler, const struct weir_avro_type *writer,
                           const struct target *target, struct avro_node **ret_node);

static weir_status new_node(struct compiler *compiler, enum avro_action action,
                            const struct weir_avro_type *writer, const struct target *target,
                            struct avro_node **ret_node)
{
    if (++compiler->nodes > WEIR_AVRO_TYPES_MAX)
        return weir_fail(compiler->reterr, WEIR_UNSUPPORTED,
                         "avro schema: more than %d types, each counted where it is used",
                         WEIR_AVRO_TYPES_MAX);
    WEIR_TRY(weir_arena_zero(compiler->arena, 1, sizeof **ret_node, ret_node, compiler->reterr));
    **ret_node = (struct avro_node){.action = action,
                                    .writer = writer,
                                    .path = target ? target->path : "",
                                    .column = target ? target->column : 0};
    return WEIR_OK;
}

static weir_status refuse(struct compiler *compiler, enum weir_reason reason,
                          struct avro_node *node, const char *what, const char *detail)
{
    char *message;
    WEIR_TRY(weir_arena_print(compiler->arena, &message, compiler->reterr, "%s: %s%s",
                              *node->path ? node->path : "record", what, detail));
    node->action = AVRO_FAIL;
    node->reason = reason;
    node->message = message;
    return WEIR_OK;
}

/* ---- values of one type ---- */

static bool is_logical(const struct weir_avro_type *writer, const char *name)
{
    return strcmp(writer->logical_type, name) == 0;
}

static bool is_decimal(const struct weir_avro_type *writer)
{
    return is_logical(writer, "decimal") && writer->precision > 0 && writer->scale >= 0 &&
           writer->scale <= 38;
}

static int unit_of(const struct compiler *compiler, const struct target *target)
{
    const struct weir_avro_plan_options *options = compiler->options;
    for (size_t i = 0; i < options->time_count; i++)
        if (options->times[i].field_id == target->field->id)
            return options->times[i].unit;
    return 0;
}

/* Whole numbers to a point in time, in microseconds. */
static enum avro_action instant(const struct compiler *compiler, struct avro_node *node,
                                const struct target *target)
{
    static const int64_t factors[] = {0, 1000000, 1000, 1, -1000};
    const struct weir_avro_type *writer = node->writer;
    static const char *const names[][2] = {{"", ""},
                                           {"", ""},
                                           {"timestamp-millis", "local-timestamp-millis"},
                                           {"timestamp-micros", "local-timestamp-micros"},
                                           {"timestamp-nanos", "local-timestamp-nanos"}};
    int unit = *writer->logical_type ? 0 : unit_of(compiler, target);
    for (int i = 2; writer->kind == WEIR_AVRO_LONG && i < 5; i++)
        if (is_logical(writer, names[i][0]) || is_logical(writer, names[i][1]))
            unit = i;
    node->factor = factors[unit];
    if (writer->kind == WEIR_AVRO_INT && is_logical(writer, "date"))
        node->factor = 86400000000ll;
    return node->factor == 0 ? AVRO_FAIL : node->factor == 1 ? AVRO_PUT_LONG : AVRO_PUT_SCALED;
}

static enum avro_action whole(const struct compiler *compiler, struct avro_node *node,
                              const struct target *target)
{
    const struct weir_avro_type *writer = node->writer;
    bool is_int = writer->kind == WEIR_AVRO_INT;
    switch (target->field->type.id) {
    case WEIR_INT: return AVRO_PUT_INT;
    case WEIR_LONG: return AVRO_PUT_LONG;
    case WEIR_FLOAT:
    case WEIR_DOUBLE: return AVRO_PUT_REAL;
    case WEIR_DECIMAL: return AVRO_PUT_WHOLE;
    case WEIR_DATE: return is_int && is_logical(writer, "date") ? AVRO_PUT_INT : AVRO_FAIL;
    case WEIR_TIME:
        node->factor = 1000;
        return is_int && is_logical(writer, "time-millis")    ? AVRO_PUT_SCALED
               : !is_int && is_logical(writer, "time-micros") ? AVRO_PUT_LONG
                                                              : AVRO_FAIL;
    case WEIR_TIMESTAMP:
    case WEIR_TIMESTAMPTZ: return instant(compiler, node, target);
    default: return AVRO_FAIL;
    }
}

static enum avro_action text(const struct target *target)
{
    switch (target->field->type.id) {
    case WEIR_STRING:
    case WEIR_BINARY: return AVRO_PUT_BYTES;
    case WEIR_UUID:
    case WEIR_DECIMAL:
    case WEIR_DATE:
    case WEIR_TIME:
    case WEIR_TIMESTAMP:
    case WEIR_TIMESTAMPTZ: return AVRO_PUT_TEXT;
    default: return AVRO_FAIL;
    }
}

static enum avro_action bytes(const struct avro_node *node, const struct target *target)
{
    const struct weir_avro_type *writer = node->writer;
    const struct weir_type *type = &target->field->type;
    bool is_fixed = writer->kind == WEIR_AVRO_FIXED;
    switch (type->id) {
    case WEIR_BINARY: return AVRO_PUT_BYTES;
    case WEIR_STRING: return is_fixed || is_decimal(writer) ? AVRO_FAIL : AVRO_PUT_BYTES;
    case WEIR_DECIMAL: return is_decimal(writer) ? AVRO_PUT_DECIMAL : AVRO_FAIL;
    case WEIR_UUID: return !is_fixed || writer->size == 16 ? AVRO_PUT_FIXED : AVRO_FAIL;
    case WEIR_FIXED: return !is_fixed || writer->size == type->length ? AVRO_PUT_FIXED : AVRO_FAIL;
    default: return AVRO_FAIL;
    }
}

static enum avro_action choose(const struct compiler *compiler, struct avro_node *node,
                               const struct target *target)
{
    enum weir_type_id wanted = target->field->type.id;
    switch (node->writer->kind) {
    case WEIR_AVRO_NULL: return AVRO_PUT_NULL;
    case WEIR_AVRO_BOOLEAN: return wanted == WEIR_BOOLEAN ? AVRO_PUT_BOOLEAN : AVRO_FAIL;
    case WEIR_AVRO_INT:
    case WEIR_AVRO_LONG: return whole(compiler, node, target);
    case WEIR_AVRO_FLOAT:
    case WEIR_AVRO_DOUBLE:
        return wanted == WEIR_FLOAT || wanted == WEIR_DOUBLE ? AVRO_PUT_FLOAT : AVRO_FAIL;
    case WEIR_AVRO_STRING: return text(target);
    case WEIR_AVRO_BYTES:
    case WEIR_AVRO_FIXED: return bytes(node, target);
    case WEIR_AVRO_ENUM: return wanted == WEIR_STRING ? AVRO_PUT_SYMBOL : AVRO_FAIL;
    case WEIR_AVRO_UNION: return AVRO_PUT_UNION;
    case WEIR_AVRO_RECORD: return wanted == WEIR_STRUCT ? AVRO_PUT_RECORD : AVRO_FAIL;
    case WEIR_AVRO_ARRAY: return wanted == WEIR_LIST ? AVRO_PUT_LIST : AVRO_FAIL;
    case WEIR_AVRO_MAP: return wanted == WEIR_MAP ? AVRO_PUT_MAP : AVRO_FAIL;
    case WEIR_AVRO_KIND_COUNT: break;
    }
    return AVRO_FAIL;
}

static const char *kind_name(const struct weir_avro_type *writer)
{
    static const char *const names[WEIR_AVRO_KIND_COUNT] = {
        "null",   "boolean", "int",  "long",  "float", "double", "bytes",
        "string", "fixed",   "enum", "array", "map",   "record", "union"};
    return *writer->logical_type ? writer->logical_type : names[writer->kind];
}

/* ---- records ---- */

static bool is_alias(const struct compiler *compiler, const struct weir_field *column,
                     const char *name)
{
    for (size_t i = 0; i < compiler->options->alias_count; i++)
        if (compiler->options->aliases[i].field_id == column->id &&
            strcmp(compiler->options->aliases[i].name, name) == 0)
            return true;
    return false;
}

/* The field of the writer's that fills a column: of its name, else of one of its other names. */
static size_t field_for(const struct compiler *compiler, const struct weir_avro_type *writer,
                        const struct weir_field *column)
{
    for (size_t i = 0; i < writer->field_count; i++)
        if (strcmp(writer->fields[i].name, column->name) == 0)
            return i;
    for (size_t i = 0; i < writer->field_count; i++)
        if (is_alias(compiler, column, writer->fields[i].name))
            return i;
    return SIZE_MAX;
}

static bool is_only_null(const struct weir_avro_type *type)
{
    for (size_t i = 0; type->kind == WEIR_AVRO_UNION && i < type->field_count; i++)
        if (type->fields[i].type->kind != WEIR_AVRO_NULL)
            return false;
    return type->kind == WEIR_AVRO_NULL || type->kind == WEIR_AVRO_UNION;
}

static weir_status child_target(struct compiler *compiler, const struct target *target,
                                uint32_t child, struct target *ret_target)
{
    const struct weir_type *type = &target->field->type;
    char *path;
    WEIR_TRY(weir_arena_print(compiler->arena, &path, compiler->reterr, "%s%s%s", target->path,
                              *target->path ? "." : "", type->children[child].name));
    *ret_target = (struct target){&type->children[child], avro_child(type, target->column, child),
                                  path};
    return WEIR_OK;
}

static const char *default_of(const struct compiler *compiler, const struct weir_field *column)
{
    for (size_t i = 0; i < compiler->options->default_count; i++)
        if (compiler->options->defaults[i].field_id == column->id)
            return compiler->options->defaults[i].json;
    return NULL;
}

/* The value as Avro has it, and its type; *ret_type NULL: none of those that may be defaults. */
static weir_status encode_default(const json_t *value, struct weir_buffer *out,
                                  const struct weir_avro_type **ret_type, struct weir_error *reterr)
{
    static const struct weir_avro_type types[] = {
        {.kind = WEIR_AVRO_BOOLEAN, .name = "", .logical_type = ""},
        {.kind = WEIR_AVRO_LONG, .name = "", .logical_type = ""},
        {.kind = WEIR_AVRO_DOUBLE, .name = "", .logical_type = ""},
        {.kind = WEIR_AVRO_STRING, .name = "", .logical_type = ""}};
    *ret_type = NULL;
    if (json_is_boolean(value)) {
        uint8_t truth = json_is_true(value);
        *ret_type = &types[0];
        return weir_avro_put_raw(out, &truth, 1, reterr);
    }
    if (json_is_integer(value)) {
        *ret_type = &types[1];
        return weir_avro_put_long(out, json_integer_value(value), reterr);
    }
    if (json_is_real(value)) {
        double real = json_real_value(value);
        *ret_type = &types[2];
        return weir_avro_put_raw(out, &real, sizeof real, reterr);
    }
    if (!json_is_string(value))
        return WEIR_OK;
    *ret_type = &types[3];
    return weir_avro_put_bytes(out, json_string_value(value), json_string_length(value), reterr);
}

static weir_status compile_default(struct compiler *compiler, const char *text,
                                   const struct target *child, struct avro_default *ret_default)
{
    WEIR_AUTO(weir_buffer) out = {.account = compiler->arena->account};
    const struct weir_avro_type *type = NULL;
    struct avro_node *node;
    char *copy;
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    weir_status status = encode_default(value, &out, &type, compiler->reterr);
    json_decref(value);
    WEIR_TRY(status);
    /* bytes stand in a default as characters up to 255: not worth the trouble */
    if (!type || (type->kind == WEIR_AVRO_STRING && child->field->type.id == WEIR_BINARY))
        return WEIR_OK;
    WEIR_TRY(compile(compiler, type, child, &node));
    WEIR_TRY(weir_arena_copy(compiler->arena, out.data, out.size, &copy, compiler->reterr));
    if (node->action != AVRO_FAIL)
        *ret_default = (struct avro_default){node, {(const uint8_t *)copy, out.size}};
    return WEIR_OK;
}

static weir_status add_missing(struct compiler *compiler, struct avro_node *node,
                               const struct target *child)
{
    const char *text = default_of(compiler, child->field);
    struct avro_default value = {0};
    if (text)
        WEIR_TRY(compile_default(compiler, text, child, &value));
    if (!child->field->required || value.node) {
        node->defaults[node->missing_count] = value;
        node->missing[node->missing_count++] = child->column;
        return WEIR_OK;
    }
    struct avro_node named = {.path = child->path};
    WEIR_TRY(
        refuse(compiler, WEIR_REASON_REQUIRED, &named, "required, but the schema lacks it", ""));
    node->action = AVRO_FAIL;
    node->reason = named.reason;
    node->message = named.message;
    return WEIR_OK;
}

static weir_status compile_record(struct compiler *compiler, struct avro_node *node,
                                  const struct target *target)
{
    const struct weir_avro_type *writer = node->writer;
    const struct weir_type *type = &target->field->type;
    struct target child;
    WEIR_TRY(weir_arena_zero(compiler->arena, writer->field_count + 1, sizeof *node->below,
                             &node->below, compiler->reterr));
    WEIR_TRY(weir_arena_zero(compiler->arena, type->child_count + 1, sizeof *node->missing,
                             &node->missing, compiler->reterr));
    WEIR_TRY(weir_arena_zero(compiler->arena, type->child_count + 1, sizeof *node->defaults,
                             &node->defaults, compiler->reterr));
    for (uint32_t i = 0; i < type->child_count && node->action == AVRO_PUT_RECORD; i++) {
        size_t from = field_for(compiler, writer, &type->children[i]);
        WEIR_TRY(child_target(compiler, target, i, &child));
        bool there = from != SIZE_MAX && !node->below[from];
        WEIR_TRY(there ? compile(compiler, writer->fields[from].type, &child, &node->below[from])
                       : add_missing(compiler, node, &child));
    }
    for (size_t i = 0; i < writer->field_count; i++) {
        if (node->below[i])
            continue;
        WEIR_TRY(new_node(compiler, AVRO_SKIP, writer->fields[i].type, NULL, &node->below[i]));
        if (!compiler->plan->unknown && !is_only_null(writer->fields[i].type))
            compiler->plan->unknown = writer->fields[i].name;
    }
    return WEIR_OK;
}

static weir_status compile_below(struct compiler *compiler, struct avro_node *node,
                                 const struct target *target)
{
    const struct weir_avro_type *writer = node->writer;
    struct target child = *target;
    WEIR_TRY(weir_arena_zero(compiler->arena, writer->field_count + 1, sizeof *node->below,
                             &node->below, compiler->reterr));
    if (node->action == AVRO_PUT_LIST)
        WEIR_TRY(child_target(compiler, target, 0, &child));
    if (node->action == AVRO_PUT_MAP)
        WEIR_TRY(child_target(compiler, target, 1, &child));
    for (size_t i = 0; i < writer->field_count; i++)
        WEIR_TRY(compile(compiler, writer->fields[i].type, &child, &node->below[i]));
    return WEIR_OK;
}

static weir_status compile(struct compiler *compiler, const struct weir_avro_type *writer,
                           const struct target *target, struct avro_node **ret_node)
{
    struct avro_node *node;
    WEIR_TRY(new_node(compiler, AVRO_FAIL, writer, target, &node));
    *ret_node = node;
    node->action = choose(compiler, node, target);
    const struct weir_type *type = &target->field->type;
    if (node->action == AVRO_PUT_MAP && type->children[0].type.id != WEIR_STRING)
        node->action = AVRO_FAIL;
    switch (node->action) {
    case AVRO_PUT_NULL:
        return target->field->required
                   ? refuse(compiler, WEIR_REASON_REQUIRED, node, "required, but null", "")
                   : WEIR_OK;
    case AVRO_PUT_RECORD: return compile_record(compiler, node, target);
    case AVRO_PUT_UNION:
    case AVRO_PUT_LIST:
    case AVRO_PUT_MAP: return compile_below(compiler, node, target);
    case AVRO_FAIL: {
        char *wanted;
        WEIR_TRY(weir_arena_print(compiler->arena, &wanted, compiler->reterr, "%s, found ",
                                  *target->path ? weir_type_name(type->id) : "a record"));
        char *what;
        WEIR_TRY(weir_arena_print(compiler->arena, &what, compiler->reterr, "wanted %s", wanted));
        return refuse(compiler, WEIR_REASON_TYPE, node, what, kind_name(writer));
    }
    default: return WEIR_OK;
    }
}

weir_status weir_avro_plan_make(struct weir_arena *arena, const struct weir_avro_type *writer,
                                const struct weir_type *columns,
                                const struct weir_avro_plan_options *options,
                                struct weir_avro_plan **ret_plan, struct weir_error *reterr)
{
    struct weir_avro_plan *plan;
    struct weir_field *root;
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *plan, &plan, reterr));
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *root, &root, reterr));
    *root = (struct weir_field){.name = "", .required = true, .type = *columns};
    struct compiler compiler = {.arena = arena, .options = options, .plan = plan, .reterr = reterr};
    struct target target = {root, 0, ""};
    WEIR_TRY(compile(&compiler, writer, &target, &plan->root));
    *ret_plan = plan;
    return WEIR_OK;
}

const char *weir_avro_plan_unknown(const struct weir_avro_plan *plan)
{
    return plan->unknown;
}
