/* YAML to nodes by libfyaml's events, one file at a time: places kept, ${ENV} filled, duplicate
 * keys and hostile nesting found. Aliases share their node; a budget of nodes keeps bombs of them
 * harmless. */
#include "scheduler/pipeline/pipeline_int.h"

#include "engine/base/limits.h"
#include "engine/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <libfyaml.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct node *node_get_key(const struct node *map, const char *name)
{
    for (size_t i = 0; map && map->kind == NODE_MAP && i < map->count; i++)
        if (node_is(map->entries[i].key, name))
            return map->entries[i].key;
    return NULL;
}

struct node *node_get(const struct node *map, const char *name)
{
    for (size_t i = 0; map && map->kind == NODE_MAP && i < map->count; i++)
        if (node_is(map->entries[i].key, name))
            return map->entries[i].value->kind == NODE_NULL ? NULL : map->entries[i].value;
    return NULL;
}

bool node_is(const struct node *node, const char *text)
{
    return node && node->kind == NODE_SCALAR && strlen(text) == node->size &&
           memcmp(node->text, text, node->size) == 0;
}

bool node_add(struct reading *reading, struct node *parent, struct node *key, struct node *value)
{
    if (parent->count == parent->capacity) {
        size_t capacity = parent->capacity ? parent->capacity * 2 : 8;
        struct node_entry *entries = take(reading, capacity, sizeof *entries);
        if (!entries)
            return false;
        if (parent->count)
            memcpy(entries, parent->entries, parent->count * sizeof *entries);
        parent->entries = entries;
        parent->capacity = capacity;
    }
    parent->entries[parent->count++] = (struct node_entry){key, value};
    return true;
}

void node_break(struct node *node)
{
    node->kind = NODE_NULL;
    node->broken = true;
}

weir_status file_read(struct reading *reading, const char *path, const char *shown, size_t limit,
                      char **ret_text, size_t *ret_size, struct weir_error *reterr)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return weir_fail(reterr, errno == ENOENT ? WEIR_NOT_FOUND : WEIR_IO, "cannot open %s: %s",
                         shown, strerror(errno));
    WEIR_AUTO(weir_buffer) buffer = {.account = reading->arena->account};
    weir_status status = WEIR_OK;
    struct stat about;
    if (fstat(descriptor, &about) == 0 && S_ISDIR(about.st_mode))
        status = weir_fail(reterr, WEIR_USAGE, "%s is a folder", shown);
    while (status == WEIR_OK) {
        status = weir_buffer_reserve(&buffer, 65536, reterr);
        if (status != WEIR_OK)
            break;
        ssize_t got = read(descriptor, buffer.data + buffer.size, 65536);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            status = weir_fail(reterr, WEIR_IO, "cannot read %s: %s", shown, strerror(errno));
        if (got <= 0)
            break;
        buffer.size += (size_t)got;
        if (buffer.size > limit)
            status = weir_fail(reterr, WEIR_USAGE, "%s is larger than %zu bytes", shown, limit);
    }
    close(descriptor);
    char *text = NULL;
    if (status == WEIR_OK)
        status = weir_arena_copy(reading->arena, buffer.data ? (const void *)buffer.data : "",
                                 buffer.size, &text, reterr);
    if (status == WEIR_OK) {
        *ret_text = text;
        *ret_size = buffer.size;
    }
    if (buffer.data) /* it may have held a secret */
        explicit_bzero(buffer.data, buffer.size);
    return status;
}

/* Line and column of a byte of the file, for errors found before there is a tree. */
static void byte_place(const struct source_file *file, size_t offset, int *ret_line,
                       int *ret_column)
{
    *ret_line = 1;
    *ret_column = 1;
    for (size_t i = 0; i < offset && i < file->size; i++) {
        if (file->text[i] == '\n')
            ++*ret_line, *ret_column = 1;
        else
            *ret_column += ((unsigned char)file->text[i] & 0xc0) != 0x80;
    }
}

/* libfyaml looks ahead over every open bracket, half a kilobyte each, and its time grows with the
 * square of a run of empty lines inside a text: both are counted before it sees them. */
static bool work_check(struct reading *reading, int index)
{
    const struct source_file *file = &reading->files[index];
    size_t brackets = 0, empty = 0;
    int line, column;
    bool blank = true;
    for (size_t i = 0; i < file->size; i++) {
        char c = file->text[i];
        brackets += c == '[' || c == '{';
        if (c == '\n') {
            empty = blank ? empty + 1 : 0;
            blank = true;
        } else if (c != ' ' && c != '\t' && c != '\r') {
            blank = false;
        }
        if (brackets <= BRACKET_COUNT_MAX && empty <= EMPTY_LINES_MAX)
            continue;
        byte_place(file, i, &line, &column);
        if (brackets > BRACKET_COUNT_MAX)
            complain_at(reading, index, line, column, NULL, "more than %d opening brackets",
                        BRACKET_COUNT_MAX);
        else
            complain_at(reading, index, line, column, NULL, "more than %d empty lines in a row",
                        EMPTY_LINES_MAX);
        return false;
    }
    return true;
}

/* What YAML forbids and libfyaml passes over in silence. */
static bool bytes_check(struct reading *reading, int index)
{
    const struct source_file *file = &reading->files[index];
    int line, column;
    size_t bad = weir_utf8_invalid((const uint8_t *)file->text, file->size);
    if (bad < file->size) {
        byte_place(file, bad, &line, &column);
        complain_at(reading, index, line, column, NULL, "byte 0x%02x is not UTF-8",
                    (unsigned char)file->text[bad]);
        return false;
    }
    for (size_t i = 0; i < file->size; i++) {
        unsigned char c = (unsigned char)file->text[i];
        if (c == '\t' || c == '\n' || c == '\r' || (c >= 0x20 && c != 0x7f))
            continue;
        byte_place(file, i, &line, &column);
        complain_at(reading, index, line, column, NULL, "control character 0x%02x", c);
        return false;
    }
    return work_check(reading, index);
}

/* ${NAME}, ${NAME:-text}, and $${ for ${ itself. The environment is looked at here and nowhere
 * else. */
static char *substitute(struct reading *reading, struct node *node)
{
    WEIR_AUTO(weir_buffer) out = {.account = reading->arena->account};
    const char *at = node->text, *end = node->text + node->size, *dollar;
    while (reading->status == WEIR_OK &&
           (dollar = memmem(at, (size_t)(end - at), "${", 2)) != NULL) {
        bool escaped = dollar > at && dollar[-1] == '$';
        reading->status = weir_buffer_append(&out, at, (size_t)(dollar - at) - escaped,
                                             &reading->error);
        if (escaped) {
            if (reading->status == WEIR_OK)
                reading->status = weir_buffer_append(&out, "${", 2, &reading->error);
            at = dollar + 2;
            continue;
        }
        const char *close = memchr(dollar, '}', (size_t)(end - dollar));
        const char *name = dollar + 2,
                   *colon = close ? memmem(name, (size_t)(close - name), ":-", 2) : NULL;
        size_t size = close ? (size_t)((colon ? colon : close) - name) : 0;
        size_t word = strspn(name,
                             "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
        if (!close || size == 0 || word != size) {
            complain(reading, node, (size_t)(dollar - node->text),
                     "write ${NAME} or ${NAME:-default}; $${ stands for ${ itself",
                     close ? "${...} holds no name of an environment variable"
                           : "${ is not closed");
            break;
        }
        char *variable = take_text(reading, name, size);
        const char *value = variable ? getenv(variable) : NULL;
        if (value && weir_utf8_invalid((const uint8_t *)value, strlen(value)) != strlen(value)) {
            complain(reading, node, (size_t)(dollar - node->text), NULL,
                     "environment variable %s is not UTF-8", variable);
            break;
        }
        if ((!value || !*value) && colon)
            reading->status = weir_buffer_append(&out, colon + 2, (size_t)(close - colon - 2),
                                                 &reading->error);
        else if (value)
            reading->status = weir_buffer_append(&out, value, strlen(value), &reading->error);
        else if (variable)
            complain(reading, node, (size_t)(dollar - node->text),
                     "set it, or give a default: ${NAME:-default}",
                     "environment variable %s is not set", variable);
        at = close + 1;
    }
    if (reading->status == WEIR_OK)
        reading->status = weir_buffer_append(&out, at, (size_t)(end - at), &reading->error);
    if (reading->status != WEIR_OK)
        return NULL;
    char *text = take_text(reading, (const char *)out.data, out.size);
    node->size = out.size;
    return text;
}

struct builder {
    struct reading *reading;
    int file;
    struct node *stack[NODE_DEPTH_MAX];
    struct node *keys[NODE_DEPTH_MAX]; /* the key that waits for its value, per level */
    int depth;
    struct node *root;
    struct {
        const char *name;
        struct node *node;
    } * anchors;
    size_t anchor_count, anchor_capacity;
    int documents;
    struct node last; /* place of the last thing seen, for what has none of its own */
};

static bool is_null_word(const char *text, size_t size)
{
    return size == 0 || (size == 1 && *text == '~') ||
           (size == 4 && (memcmp(text, "null", 4) == 0 || memcmp(text, "Null", 4) == 0 ||
                          memcmp(text, "NULL", 4) == 0));
}

static struct node *builder_node(struct builder *builder, enum node_kind kind,
                                 struct fy_token *token)
{
    struct node *node = take(builder->reading, 1, sizeof *node);
    if (!node)
        return NULL;
    *node = builder->last;
    node->kind = kind;
    node->file = builder->file;
    node->weight = 1;
    const struct fy_mark *mark = token ? fy_token_start_mark(token) : NULL;
    if (mark) {
        node->line = mark->line + 1;
        node->column = mark->column + 1;
        node->offset = mark->input_pos;
        builder->last.line = node->line;
        builder->last.column = node->column;
        builder->last.offset = node->offset;
    }
    return node;
}

static struct node *builder_scalar(struct builder *builder, struct fy_token *token)
{
    struct node *node = builder_node(builder, NODE_NULL, token);
    if (!node || !token)
        return node;
    size_t size = 0;
    const char *text = fy_token_get_text(token, &size);
    switch (fy_scalar_token_get_style(token)) {
    case FYSS_SINGLE_QUOTED: node->style = STYLE_SINGLE; break;
    case FYSS_DOUBLE_QUOTED: node->style = STYLE_DOUBLE; break;
    case FYSS_LITERAL:
    case FYSS_FOLDED: node->style = STYLE_BLOCK; break;
    default: node->style = STYLE_PLAIN; break;
    }
    /* libfyaml's marks of quoted scalars point at the first byte inside; carets point at the quote
     * for the whole value and at the byte for a place in it, so only the offset stays inside. */
    if (node->style == STYLE_PLAIN && is_null_word(text ? text : "", size))
        return node;
    node->kind = NODE_SCALAR;
    node->text = take_text(builder->reading, text ? text : "", size);
    node->size = size;
    return node->text ? node : NULL;
}

static bool builder_duplicate(struct builder *builder, struct node *map, const struct node *key)
{
    for (size_t i = 0; i < map->count; i++) {
        const struct node *other = map->entries[i].key;
        if (other->kind != key->kind || other->size != key->size ||
            (key->size && memcmp(other->text, key->text, key->size) != 0))
            continue;
        complain(builder->reading, key, 0, NULL, "key %s is here twice; the first is in line %d",
                 node_quote(builder->reading, key), other->line);
        return true;
    }
    return false;
}

/* `<<: *anchor`: keys of the other map that this one does not have. */
static bool builder_merge_key(struct builder *builder, struct node *map, const struct node *from)
{
    for (size_t j = 0; from->kind == NODE_LIST && j < from->count; j++)
        if (!builder_merge_key(builder, map, from->entries[j].value))
            return false;
    if (from->kind != NODE_MAP && from->kind != NODE_LIST)
        complain(builder->reading, from, 0, NULL, "<< takes a map or a list of maps");
    for (size_t i = 0; from->kind == NODE_MAP && i < from->count; i++)
        if (from->entries[i].key->kind == NODE_SCALAR &&
            !node_get_key(map, from->entries[i].key->text) &&
            !node_add(builder->reading, map, from->entries[i].key, from->entries[i].value))
            return false;
    return true;
}

/* Puts a finished node where it belongs. */
static bool builder_place(struct builder *builder, struct node *node)
{
    if (builder->depth == 0) {
        builder->root = node;
        return true;
    }
    struct node *parent = builder->stack[builder->depth - 1];
    parent->weight += node->weight;
    if (parent->kind == NODE_LIST)
        return node_add(builder->reading, parent, NULL, node);
    struct node **waiting = &builder->keys[builder->depth - 1];
    if (!*waiting) {
        *waiting = node;
        return true;
    }
    struct node *key = *waiting;
    *waiting = NULL;
    if (key->kind != NODE_SCALAR) {
        complain(builder->reading, key, 0, NULL, "a key must be a text, not %s",
                 node_quote(builder->reading, key));
        return true;
    }
    if (node_is(key, "<<") && key->style == STYLE_PLAIN)
        return builder_merge_key(builder, parent, node);
    if (parent->count == MAP_KEYS_MAX) {
        complain(builder->reading, key, 0, NULL, "more than %d keys in one map", MAP_KEYS_MAX);
        return false;
    }
    return builder_duplicate(builder, parent, key) || node_add(builder->reading, parent, key, node);
}

static bool builder_anchor(struct builder *builder, struct fy_token *anchor, struct node *node)
{
    if (!anchor)
        return true;
    size_t size;
    const char *text = fy_token_get_text(anchor, &size);
    if (builder->anchor_count == builder->anchor_capacity) {
        size_t capacity = builder->anchor_capacity ? builder->anchor_capacity * 2 : 16;
        void *anchors = take(builder->reading, capacity, sizeof *builder->anchors);
        if (!anchors)
            return false;
        if (builder->anchor_count)
            memcpy(anchors, builder->anchors, builder->anchor_count * sizeof *builder->anchors);
        builder->anchors = anchors;
        builder->anchor_capacity = capacity;
    }
    builder->anchors[builder->anchor_count].name = take_text(builder->reading, text, size);
    builder->anchors[builder->anchor_count].node = node;
    return builder->anchors[builder->anchor_count++].name != NULL;
}

static bool builder_count(struct builder *builder, const struct node *at, size_t more)
{
    struct reading *reading = builder->reading;
    reading->node_count += more;
    if (reading->node_count <= NODE_COUNT_MAX)
        return true;
    complain(reading, at, 0, NULL, "more than %d values, aliases counted each time",
             NODE_COUNT_MAX);
    return false;
}

static bool builder_alias(struct builder *builder, struct fy_token *token)
{
    size_t size;
    const char *text = fy_token_get_text(token, &size);
    struct node *at = builder_node(builder, NODE_NULL, token);
    if (!at)
        return false;
    for (size_t i = builder->anchor_count; i-- > 0;) {
        if (strlen(builder->anchors[i].name) != size ||
            memcmp(builder->anchors[i].name, text, size) != 0)
            continue;
        struct node *node = builder->anchors[i].node;
        for (int j = 0; j < builder->depth; j++)
            if (builder->stack[j] == node) {
                complain(builder->reading, at, 0, NULL, "alias *%.*s stands inside what it names",
                         (int)(size < 60 ? size : 60), text);
                node_break(at);
                return builder_place(builder, at);
            }
        return builder_count(builder, at, node->weight) && builder_place(builder, node);
    }
    complain(builder->reading, at, 0, NULL, "alias *%.*s names no anchor above",
             (int)(size < 60 ? size : 60), text);
    node_break(at);
    return builder_place(builder, at);
}

static bool builder_open(struct builder *builder, enum node_kind kind, struct fy_token *token,
                         struct fy_token *anchor)
{
    struct node *node = builder_node(builder, kind, token);
    if (!node || !builder_count(builder, node, 1) || !builder_anchor(builder, anchor, node))
        return false;
    if (builder->depth == NODE_DEPTH_MAX) {
        complain(builder->reading, node, 0, NULL, "nested deeper than %d levels", NODE_DEPTH_MAX);
        return false;
    }
    builder->stack[builder->depth] = node;
    builder->keys[builder->depth] = NULL;
    builder->depth++;
    return true;
}

static bool builder_event(struct builder *builder, struct fy_event *event)
{
    switch (event->type) {
    case FYET_DOCUMENT_START:
        if (builder->documents++ == 0)
            return true;
        complain_at(builder->reading, builder->file, builder->last.line + 1, 1, NULL,
                    "the file holds one YAML document; here a second begins");
        return false;
    case FYET_MAPPING_START:
        return builder_open(builder, NODE_MAP, event->mapping_start.mapping_start,
                            event->mapping_start.anchor);
    case FYET_SEQUENCE_START:
        return builder_open(builder, NODE_LIST, event->sequence_start.sequence_start,
                            event->sequence_start.anchor);
    case FYET_MAPPING_END:
    case FYET_SEQUENCE_END:
        builder->depth--;
        return builder_place(builder, builder->stack[builder->depth]);
    case FYET_SCALAR: {
        struct node *node = builder_scalar(builder, event->scalar.value);
        return node && builder_count(builder, node, 1) &&
               builder_anchor(builder, event->scalar.anchor, node) && builder_place(builder, node);
    }
    case FYET_ALIAS: return builder_alias(builder, event->alias.anchor);
    default: return true;
    }
}

/* The line of a tab among the leading blanks, at or before `line`; 0 = none. libfyaml speaks of
 * other things then. */
static int tab_line(const struct source_file *file, int line, int *ret_column)
{
    int number = 1;
    const char *at = file->text, *end = at + file->size;
    while (at < end && number <= line + 1) {
        const char *next = memchr(at, '\n', (size_t)(end - at));
        const char *c = at;
        while (c < end && *c == ' ')
            c++;
        if (c < end && *c == '\t' && number >= line - 1) {
            *ret_column = (int)(c - at) + 1;
            return number;
        }
        at = next ? next + 1 : end;
        number++;
    }
    return 0;
}

static void syntax_complain(struct builder *builder, struct fy_diag *diag)
{
    struct reading *reading = builder->reading;
    const struct source_file *file = &reading->files[builder->file];
    void *iterator = NULL;
    struct fy_diag_error *error = fy_diag_errors_iterate(diag, &iterator);
    int line = error && error->line > 0 ? error->line : builder->last.line,
        column = error && error->column > 0 ? error->column : 1;
    int tab_column, tab = tab_line(file, line, &tab_column);
    if (tab) {
        complain_at(reading, builder->file, tab, tab_column, "indent by spaces",
                    "a tab among the blanks at the start of a line");
        return;
    }
    const char *message = error && error->msg ? error->msg : "not YAML";
    char hint[128] = "";
    if (strstr(message, "closing bracket") || strstr(message, "flow")) {
        for (int i = builder->depth; i-- > 0;) {
            const struct node *open = builder->stack[i];
            if (open->offset < file->size &&
                (file->text[open->offset] == '[' || file->text[open->offset] == '{')) {
                snprintf(hint, sizeof hint, "the innermost open bracket is in line %d, column %d",
                         open->line, open->column);
                break;
            }
        }
    } else if (strstr(message, "nested block mapping")) {
        snprintf(hint, sizeof hint, "put a value that holds a colon and a space in quotes");
    }
    complain_at(reading, builder->file, line, column, hint, "not YAML: %s", message);
}

static void tree_substitute(struct reading *reading, struct node *node, int depth)
{
    if (depth > NODE_DEPTH_MAX * 2)
        return;
    if (node->kind == NODE_SCALAR && !node->substituted &&
        memmem(node->text, node->size, "${", 2)) {
        size_t before = reading->complaint_count;
        char *text = substitute(reading, node);
        node->substituted = true;
        if (text)
            node->text = text;
        if (reading->complaint_count > before)
            node_break(node);
        else if (node->size == 0 && node->style == STYLE_PLAIN)
            node->kind = NODE_NULL;
    }
    for (size_t i = 0; i < node->count && reading->status == WEIR_OK; i++)
        tree_substitute(reading, node->entries[i].value, depth + 1);
}

struct node *tree_read(struct reading *reading, int index)
{
    const struct source_file *file = &reading->files[index];
    size_t before = reading->complaint_count;
    if (!bytes_check(reading, index))
        return NULL;
    struct fy_diag_cfg diag_options;
    fy_diag_cfg_default(&diag_options);
    diag_options.fp = NULL;
    diag_options.output_fn = NULL;
    struct fy_diag *diag = fy_diag_create(&diag_options);
    struct fy_parse_cfg options = {.flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG, .diag = diag};
    struct fy_parser *parser = diag ? fy_parser_create(&options) : NULL;
    struct builder builder = {
        .reading = reading, .file = index, .last = {.file = index, .line = 1, .column = 1}};
    bool good = parser != NULL;
    if (parser)
        fy_diag_set_collect_errors(diag, true);
    if (!parser || fy_parser_set_string(parser, file->text, file->size) != 0) {
        if (reading->status == WEIR_OK)
            reading->status = weir_fail(&reading->error, WEIR_NO_MEMORY, "libfyaml did not start");
        good = false;
    }
    struct fy_event *event;
    while (good && (event = fy_parser_parse(parser)) != NULL) {
        good = builder_event(&builder, event);
        fy_parser_event_free(parser, event);
    }
    if (good && fy_parser_get_stream_error(parser)) {
        syntax_complain(&builder, diag);
        good = false;
    }
    fy_parser_destroy(parser);
    fy_diag_destroy(diag);
    if (!good || reading->status != WEIR_OK)
        return NULL;
    if (!builder.root || builder.root->kind != NODE_MAP) {
        bool empty = !builder.root || builder.root->kind == NODE_NULL;
        if (reading->complaint_count == before && empty)
            complain_at(reading, index, 1, 1, NULL, "the file is empty");
        else if (reading->complaint_count == before)
            complain(reading, builder.root, 0, NULL, "the file is a map of keys");
        return NULL;
    }
    tree_substitute(reading, builder.root, 0);
    return builder.root;
}

struct node *tree_merge(struct reading *reading, struct node *base, struct node *over)
{
    if (base->kind != NODE_MAP || over->kind != NODE_MAP)
        return over;
    struct node *merged = take(reading, 1, sizeof *merged);
    if (!merged)
        return base;
    *merged = *base;
    merged->entries = NULL;
    merged->count = merged->capacity = 0;
    for (size_t i = 0; i < base->count; i++) {
        struct node_entry entry = base->entries[i];
        const struct node *key = node_get_key(over, entry.key->text);
        for (size_t j = 0; key && j < over->count; j++)
            if (over->entries[j].key == key)
                entry = (struct node_entry){
                    over->entries[j].key, tree_merge(reading, entry.value, over->entries[j].value)};
        if (!node_add(reading, merged, entry.key, entry.value))
            return base;
    }
    for (size_t i = 0; i < over->count; i++)
        if (!node_get_key(base, over->entries[i].key->text) &&
            !node_add(reading, merged, over->entries[i].key, over->entries[i].value))
            return base;
    return merged;
}
