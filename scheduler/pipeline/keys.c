/* The table of keys against a tree: unknown and later keys, shapes, kinds, limits. One pass finds
 * every error there is. */
#include "scheduler/pipeline/pipeline_int.h"

#include "engine/base/limits.h"
#include "engine/base/text.h"
#include "formats/codec/codec.h"

#include <stdlib.h>
#include <string.h>

#define REQUIRED     NULL
#define SHAPE(shape) SHAPE_##shape
const struct key keys[] = {
#define KEY(path, shape, kind, fallback, limit, help)                                              \
    {path, SHAPE(shape), KIND_##kind, fallback, limit, help, false, NULL},
#define LATER(path, what)              {path, SHAPE_SCALAR, KIND_NONE, "", "", what, true, NULL},
#define LATER_VALUE(path, value, what) {path, SHAPE_SCALAR, KIND_NONE, "", "", what, true, value},
#include "scheduler/pipeline/keys.def"
#undef KEY
#undef LATER
#undef LATER_VALUE
};
const size_t key_count = sizeof keys / sizeof *keys;

const char *key_below(const struct key *key, const char *parent)
{
    size_t size = strlen(parent);
    const char *rest = key->path;
    if (key->later_value)
        return NULL;
    if (size) {
        if (strncmp(key->path, parent, size) != 0 || key->path[size] != '/')
            return NULL;
        rest = key->path + size + 1;
    }
    return strchr(rest, '/') ? NULL : rest;
}

const struct key *key_find(const char *parent, const char *name, size_t name_size)
{
    const struct key *any = NULL;
    for (size_t i = 0; i < key_count; i++) {
        const char *last = key_below(&keys[i], parent);
        if (!last)
            continue;
        if (strcmp(last, "*") == 0)
            any = &keys[i];
        else if (strlen(last) == name_size && memcmp(last, name, name_size) == 0)
            return &keys[i];
    }
    return any;
}

const struct key *key_by_path(const char *path)
{
    for (size_t i = 0; i < key_count; i++)
        if (!keys[i].later_value && strcmp(keys[i].path, path) == 0)
            return &keys[i];
    return NULL;
}

const char *suggest(struct reading *reading, const char *name, const char *const *known,
                    size_t known_count)
{
    const char *nearest = NULL;
    size_t size = strlen(name), best = size / 3 + 2;
    for (size_t i = 0; i < known_count && size < 128; i++) {
        size_t distance = strcasecmp(name, known[i]) == 0 ? 0 : weir_text_distance(name, known[i]);
        if (distance < best && (distance < strlen(known[i]) || distance == 0)) {
            best = distance;
            nearest = known[i];
        }
    }
    return nearest ? take_print(reading, "did you mean '%s'?", nearest) : NULL;
}

/* ---- kinds
 * ----------------------------------------------------------------------------------------------------
 */

bool parse_boolean(const struct node *node, bool *ret_value)
{
    if (node_is(node, "true") || node_is(node, "True") || node_is(node, "TRUE"))
        *ret_value = true;
    else if (node_is(node, "false") || node_is(node, "False") || node_is(node, "FALSE"))
        *ret_value = false;
    else
        return false;
    return true;
}

bool parse_percent(const char *text, size_t size, double *ret_share)
{
    double value;
    bool percent = size && text[size - 1] == '%';
    if (!weir_text_double(text, size - percent, &value))
        return false;
    value = percent ? value / 100 : value;
    if (!(value > 0 && value <= 1))
        return false;
    *ret_share = value;
    return true;
}

bool parse_codec(const char *text, int *ret_codec, int *ret_level)
{
    int64_t level = 0;
    size_t size = strlen(text);
    if (strcmp(text, "lz4_raw") == 0)
        *ret_codec = WEIR_CODEC_LZ4_RAW;
    else if (strcmp(text, "uncompressed") == 0)
        *ret_codec = WEIR_CODEC_NONE;
    else if (strcmp(text, "zstd") == 0)
        *ret_codec = WEIR_CODEC_ZSTD;
    else if (size > 6 && memcmp(text, "zstd(", 5) == 0 && text[size - 1] == ')' &&
             weir_text_int64(text + 5, size - 6, &level) && level >= 1 && level <= 22)
        *ret_codec = WEIR_CODEC_ZSTD;
    else
        return false;
    *ret_level = (int)level;
    return true;
}

static bool name_good(const char *text, size_t size)
{
    return size > 0 && size <= WEIR_NAME_SIZE_MAX &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") ==
               size;
}

static bool bucket_part_good(const char *text, size_t size)
{
    return size > 0 && size <= 63 &&
           strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == size && text[0] != '-' &&
           text[size - 1] != '-';
}

/* "least..most", either may be missing; what parse_limit reads is in the kind's own unit. */
static bool limit_parse(enum key_kind kind, const char *text, size_t size, uint64_t *ret_value)
{
    int64_t value;
    if (kind == KIND_SIZE || kind == KIND_SIZE_OR_PERCENT)
        return weir_text_size(text, size, ret_value);
    if (kind == KIND_DURATION ? !weir_text_duration_ms(text, size, &value)
                              : !weir_text_int64(text, size, &value))
        return false;
    *ret_value = (uint64_t)value;
    return value >= 0;
}

static bool limit_holds(const struct key *key, uint64_t value, const char **ret_words,
                        struct reading *reading)
{
    const char *dots = strstr(key->limit, "..");
    uint64_t least = 0, most = UINT64_MAX;
    if (!dots)
        return true;
    limit_parse(key->kind, key->limit, (size_t)(dots - key->limit), &least);
    bool upper = limit_parse(key->kind, dots + 2, strlen(dots + 2), &most);
    if (value >= least && value <= most)
        return true;
    if (upper && least == most)
        *ret_words = take_print(reading, "must be %s", dots + 2);
    else if (upper)
        *ret_words = take_print(reading, "must be from %.*s to %s", (int)(dots - key->limit),
                                key->limit, dots + 2);
    else
        *ret_words = take_print(reading, "must be at least %.*s", (int)(dots - key->limit),
                                key->limit);
    return false;
}

struct check {
    struct reading *reading;
    const char *parent; /* pattern */
    const char *shown;  /* path in the user's words */
    bool part;          /* of a map that is laid over another: what is missing may be there */
};

static void expected(struct reading *reading, const struct node *node, const char *shown,
                     const char *what, const char *hint)
{
    complain(reading, node, 0, hint, "%s: expected %s, but there is %s", shown, what,
             node_quote(reading, node));
}

static bool check_choice(struct reading *reading, const struct key *key, const struct node *node,
                         const char *shown)
{
    const char *known[16];
    size_t count = 0;
    char *copy = take_text(reading, key->limit, strlen(key->limit)), *save = NULL;
    for (char *word = copy ? strtok_r(copy, "|", &save) : NULL; word && count < 16;
         word = strtok_r(NULL, "|", &save)) {
        if (node_is(node, word))
            return true;
        known[count++] = word;
    }
    for (size_t i = 0; i < key_count; i++)
        if (keys[i].later_value && strcmp(keys[i].path, key->path) == 0 &&
            node_is(node, keys[i].later_value)) {
            complain(reading, node, 0, NULL,
                     "%s: %s: not in this version of Weir (%s); choose another", shown,
                     keys[i].later_value, keys[i].help);
            return false;
        }
    if (count == 0)
        return false;
    char *what = take_print(reading, "%s", known[0]);
    for (size_t i = 1; i < count && what; i++)
        what = take_print(reading, i + 1 == count ? "%s or %s" : "%s, %s", what, known[i]);
    expected(reading, node, shown, what ? what : "",
             node->substituted || node->secret ? NULL : suggest(reading, node->text, known, count));
    return false;
}

static bool check_number(struct reading *reading, const struct key *key, const struct node *node,
                         const char *shown)
{
    uint64_t value;
    int64_t whole;
    double share;
    const char *words = NULL;
    switch (key->kind) {
    case KIND_THREADS:
        if (node_is(node, "auto"))
            return true;
        /* fall through */
    case KIND_WHOLE:
        if (!weir_text_int64(node->text, node->size, &whole) || whole < 0) {
            expected(reading, node, shown,
                     key->kind == KIND_THREADS ? "a whole number or auto" : "a whole number", NULL);
            return false;
        }
        value = (uint64_t)whole;
        break;
    case KIND_DURATION:
        if (!weir_text_duration_ms(node->text, node->size, &whole) || whole < 0) {
            expected(reading, node, shown, "a duration", "as in 30d, 15m, 4s, 500ms, 1h30m");
            return false;
        }
        value = (uint64_t)whole;
        break;
    default:
        if (key->kind == KIND_SIZE_OR_PERCENT && node->size && node->text[node->size - 1] == '%' &&
            parse_percent(node->text, node->size, &share))
            return true;
        if (!weir_text_size(node->text, node->size, &value)) {
            expected(reading, node, shown,
                     key->kind == KIND_SIZE ? "a size" : "a size, or a share from 0% to 100%",
                     "as in 64MiB, 1GB, 512 (bytes)");
            return false;
        }
    }
    if (limit_holds(key, value, &words, reading))
        return true;
    complain(reading, node, 0, NULL, "%s: %s, but there is %s", shown, words ? words : "",
             node_quote(reading, node));
    return false;
}

/* `file:/path`: the file's content takes the value's place, and never shows. */
static bool resolve_reference(struct reading *reading, struct node *node, const char *shown)
{
    if (node->size < 5 || memcmp(node->text, "file:", 5) != 0)
        return true;
    const char *path = node->text + 5;
    if (*path != '/')
        path = take_print(reading, "%s/%s", reading->directory, path);
    struct weir_error error;
    char *text;
    size_t size;
    if (!path)
        return false;
    weir_status status = file_read(reading, path, node->text + 5, SECRET_SIZE_MAX, &text, &size,
                                   &error);
    if (status != WEIR_OK) {
        complain(reading, node, 0, NULL, "%s: %s", shown, error.text);
        return false;
    }
    while (size && (text[size - 1] == '\n' || text[size - 1] == '\r'))
        text[--size] = 0;
    if (strlen(text) != size || weir_utf8_invalid((const uint8_t *)text, size) != size) {
        complain(reading, node, 0, NULL, "%s: the file holds bytes that are no text", shown);
        return false;
    }
    node->text = text;
    node->size = size;
    node->from_file = path;
    node->secret = node->substituted = true;
    return true;
}

static bool check_text(struct reading *reading, const struct key *key, struct node *node,
                       const char *shown)
{
    bool boolean;
    double share;
    int codec, level;
    switch (key->kind) {
    case KIND_NAME:
        if (name_good(node->text, node->size))
            return true;
        expected(reading, node, shown, "a name of a-z A-Z 0-9 _ . -", NULL);
        return false;
    case KIND_BUCKET_PART:
        if (bucket_part_good(node->text, node->size))
            return true;
        expected(reading, node, shown, "a name that can stand in a bucket's name",
                 "a-z, 0-9 and '-' inside, at most 63");
        return false;
    case KIND_BOOLEAN:
        if (parse_boolean(node, &boolean))
            return true;
        expected(reading, node, shown, "true or false", NULL);
        return false;
    case KIND_PERCENT:
        if (parse_percent(node->text, node->size, &share))
            return true;
        expected(reading, node, shown, "a share above 0% and up to 100%", NULL);
        return false;
    case KIND_CODEC:
        if (parse_codec(node->text, &codec, &level))
            return true;
        expected(reading, node, shown, "lz4_raw, zstd, zstd(1) to zstd(22) or uncompressed", NULL);
        return false;
    case KIND_SECRET:
        node->secret = true;
        /* fall through */
    case KIND_REFERENCE:
    case KIND_PROPERTY: return resolve_reference(reading, node, shown);
    default:
        if (node->size == 0 && key->kind != KIND_PROPERTY) {
            complain(reading, node, 0, NULL, "%s: empty", shown);
            return false;
        }
        if (strlen(node->text) == node->size)
            return true;
        complain(reading, node, 0, NULL, "%s: holds a NUL character", shown);
        return false;
    }
}

static bool check_scalar(struct reading *reading, const struct key *key, struct node *node,
                         const char *shown)
{
    switch (key->kind) {
    case KIND_CHOICE: return check_choice(reading, key, node, shown);
    case KIND_WHOLE:
    case KIND_SIZE:
    case KIND_SIZE_OR_PERCENT:
    case KIND_DURATION:
    case KIND_THREADS: return check_number(reading, key, node, shown);
    default: return check_text(reading, key, node, shown);
    }
}

/* ---- the walk
 * -------------------------------------------------------------------------------------------------
 */

static void check_map(struct check check, struct node *map);

static void check_list(struct check check, const struct key *key, struct node *list)
{
    const struct key *item_key = NULL;
    char *pattern = take_print(check.reading, "%s/-", check.parent);
    if (pattern)
        item_key = key_by_path(pattern);
    for (size_t i = 0; i < list->count && !complain_full(check.reading); i++) {
        struct node *item = list->entries[i].value;
        struct check below = {check.reading, pattern,
                              take_print(check.reading, "%s[%zu]", check.shown, i), check.part};
        if (!below.shown)
            return;
        if (item->broken)
            continue;
        if (item_key ? item->kind != NODE_MAP : item->kind != NODE_SCALAR) {
            expected(check.reading, item, below.shown, item_key ? "a map" : "a text", NULL);
            node_break(item);
        } else if (item_key) {
            check_map(below, item);
        } else if (!check_scalar(check.reading, key, item, below.shown)) {
            node_break(item);
        }
    }
}

static const char *shape_words(const struct key *key)
{
    switch (key->shape) {
    case SHAPE_MAP: return "a map";
    case SHAPE_LIST: return "a list";
    case SHAPE_ONE_OR_LIST: return "a text or a list of texts";
    case SHAPE_SCALAR_OR_MAP: return "a value or a map";
    default:
        return key->kind == KIND_BOOLEAN ? "true or false"
               : key->kind == KIND_WHOLE ? "a whole number"
               : key->kind == KIND_TYPE  ? "a type"
                                         : "a value";
    }
}

static void check_value(struct check check, const struct key *key, struct node *key_node,
                        struct node *value)
{
    if (value->broken)
        return;
    if (value->kind == NODE_NULL) {
        if (key->kind == KIND_TYPE && strchr(key_node->text, '>'))
            complain(check.reading, key_node, 0,
                     "inside {...} a type that holds a comma must stand in quotes",
                     "%s: expected a type behind it", check.shown);
        else if (key->fallback == REQUIRED || key->path[strlen(key->path) - 1] == '*')
            complain(check.reading, key_node, 0, NULL, "%s: expected %s, but there is nothing",
                     check.shown, shape_words(key));
        return;
    }
    unsigned shape = value->kind == NODE_SCALAR ? SHAPE_SCALAR
                     : value->kind == NODE_MAP  ? SHAPE_MAP
                                                : SHAPE_LIST;
    if (!(key->shape & shape)) {
        expected(check.reading, value, check.shown, shape_words(key), NULL);
        node_break(value);
    } else if (shape == SHAPE_MAP) {
        check_map(check, value);
    } else if (shape == SHAPE_LIST) {
        check_list(check, key, value);
    } else if (!check_scalar(check.reading, key, value, check.shown)) {
        node_break(value);
    }
}

/* Where a key would be right that is wrong here; NULL = nowhere. */
static const char *belongs(struct reading *reading, const char *name)
{
    for (size_t i = 0; i < key_count; i++) {
        const char *slash = strrchr(keys[i].path, '/');
        if (!slash || strcmp(slash + 1, name) != 0)
            continue;
        char *parent = take_text(reading, keys[i].path, (size_t)(slash - keys[i].path));
        for (char *c = parent; c && *c; c++)
            *c = *c == '/' ? '.' : *c;
        return parent ? take_print(reading, "'%s' belongs to %s", name, parent) : NULL;
    }
    return NULL;
}

static void unknown_key(struct check check, const struct node *key)
{
    const char *known[128];
    size_t count = 0;
    for (size_t i = 0; i < key_count && count < 128; i++) {
        const char *last = key_below(&keys[i], check.parent);
        if (last && strcmp(last, "*") != 0)
            known[count++] = last;
    }
    const char *hint = suggest(check.reading, key->text, known, count);
    if (!hint)
        hint = belongs(check.reading, key->text);
    if (!hint && count > 0 && count <= 12) {
        hint = take_print(check.reading, "known here: %s", known[0]);
        for (size_t i = 1; i < count && hint; i++)
            hint = take_print(check.reading, "%s, %s", hint, known[i]);
    }
    complain(check.reading, key, 0, hint, "%s%sunknown key %s", check.shown,
             *check.shown ? ": " : "", node_quote(check.reading, key));
}

static void later_key(struct check check, const struct key *key, const struct node *node)
{
    if (*key->help)
        complain(check.reading, node, 0, NULL, "%s: not in this version of Weir (%s); remove it",
                 check.shown, key->help);
    else
        complain(check.reading, node, 0, NULL, "%s: not in this version of Weir; remove it",
                 check.shown);
}

static void check_required(struct check check, const struct node *map)
{
    for (size_t i = 0; i < key_count; i++) {
        const char *last = key_below(&keys[i], check.parent);
        if (!last || keys[i].later || keys[i].fallback != REQUIRED || node_get_key(map, last))
            continue;
        complain(check.reading, map, 0, keys[i].help, "%s%s'%s' is missing", check.shown,
                 *check.shown ? ": " : "", last);
    }
}

static void check_map(struct check check, struct node *map)
{
    bool later = false;
    for (size_t i = 0; i < map->count && !complain_full(check.reading); i++) {
        struct node *name = map->entries[i].key, *value = map->entries[i].value;
        const struct key *key = strlen(name->text) == name->size
                                    ? key_find(check.parent, name->text, name->size)
                                    : NULL;
        struct check below = {
            check.reading, key ? key->path : "",
            take_print(check.reading, "%s%s%s", check.shown, *check.shown ? "." : "", name->text),
            check.part};
        if (!below.shown)
            return;
        if (!key) {
            unknown_key(check, name);
            continue;
        }
        if (key->later) {
            later = true;
            later_key(below, key, name);
            node_break(value);
            continue;
        }
        if (key->kind == KIND_PROPERTY || key->kind == KIND_TEXT)
            value->secret |= key->kind == KIND_PROPERTY && name_is_secret(name->text, name->size);
        check_value(below, key, name, value);
    }
    if (!later && !check.part)
        check_required(check, map);
}

void keys_check(struct reading *reading, struct node *root)
{
    check_map((struct check){reading, "", "", false}, root);
}

void keys_check_part(struct reading *reading, const char *parent, const char *shown,
                     struct node *map)
{
    check_map((struct check){reading, parent, shown, true}, map);
}

/* What `check_required` asks for, of a tree whose parts were checked by themselves. */
static void check_whole(struct check check, const struct node *map)
{
    check_required(check, map);
    for (size_t i = 0; i < map->count && !complain_full(check.reading); i++) {
        const struct node *name = map->entries[i].key, *value = map->entries[i].value;
        const struct key *key = value->kind == NODE_MAP
                                    ? key_find(check.parent, name->text, name->size)
                                    : NULL;
        if (!key)
            continue;
        struct check below = {check.reading, key->path,
                              take_print(check.reading, "%s.%s", check.shown, name->text), false};
        if (below.shown)
            check_whole(below, value);
    }
}

void keys_check_whole(struct reading *reading, const char *parent, const char *shown,
                      const struct node *map)
{
    check_whole((struct check){reading, parent, shown, false}, map);
}

/* ---- looks at a checked tree
 * ---------------------------------------------------------------------------------- */

static const struct node *get_scalar(const struct node *map, const char *name)
{
    const struct node *node = node_get(map, name);
    return node && node->kind == NODE_SCALAR ? node : NULL;
}

const char *get_text(const struct node *map, const char *name)
{
    const struct node *node = get_scalar(map, name);
    return node ? node->text : NULL;
}

bool get_boolean(const struct node *map, const char *name, bool fallback)
{
    const struct node *node = get_scalar(map, name);
    bool value = fallback;
    if (node && !parse_boolean(node, &value))
        return fallback;
    return value;
}

int64_t get_whole(const struct node *map, const char *name, int64_t fallback)
{
    const struct node *node = get_scalar(map, name);
    int64_t value;
    return node && weir_text_int64(node->text, node->size, &value) ? value : fallback;
}

uint64_t get_size(const struct node *map, const char *name, uint64_t fallback)
{
    const struct node *node = get_scalar(map, name);
    uint64_t value;
    return node && weir_text_size(node->text, node->size, &value) ? value : fallback;
}

int64_t get_duration_ms(const struct node *map, const char *name, int64_t fallback)
{
    const struct node *node = get_scalar(map, name);
    int64_t value;
    return node && weir_text_duration_ms(node->text, node->size, &value) ? value : fallback;
}

size_t list_size(const struct node *node)
{
    return !node || node->kind == NODE_NULL ? 0 : node->kind == NODE_LIST ? node->count : 1;
}

struct node *list_item(const struct node *node, size_t index)
{
    return node->kind == NODE_LIST ? node->entries[index].value : (struct node *)(uintptr_t)node;
}

const char **get_texts(struct reading *reading, const struct node *map, const char *name,
                       size_t *ret_count)
{
    const struct node *node = node_get(map, name);
    size_t count = 0, size = list_size(node);
    const char **texts = take(reading, size + 1, sizeof *texts);
    for (size_t i = 0; texts && i < size; i++)
        if (list_item(node, i)->kind == NODE_SCALAR)
            texts[count++] = list_item(node, i)->text;
    *ret_count = texts ? count : 0;
    return texts;
}
