/* The walker: one pass over a record along the plan, values straight into columns. Included once
 * per vector width, with JSON_WALK_NAME  the exported function scan_stop(at, &high)  first byte at
 * or behind `at` that ends plain text: a quote, a backslash or a control character; *high is set
 * when a byte before it is not ASCII. Reads up to JSON_PADDING behind it. JSON_BLOCK bytes that
 * scan_block(at, out, &stops, &highs) copies and examines at once Records end in a NUL, which is a
 * control character and no structure, so no loop here checks for the end. Every function gets the
 * place where its part begins and returns the one behind it, or NULL: refused, or no memory. */

static const uint8_t *walk_value(struct weir_json_decoder *decoder, struct json_node *node,
                                 const uint8_t *at, unsigned depth);
static const uint8_t *skip_value(struct weir_json_decoder *decoder, const uint8_t *at,
                                 unsigned depth);

static inline const uint8_t *skip_space(const uint8_t *at)
{
    while (__builtin_expect(*at <= ' ', 0) &&
           (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    return at;
}

/* From behind the opening quote to the closing one, over escapes, unchecked; or NULL. */
static const uint8_t *string_end(struct weir_json_decoder *decoder, const uint8_t *at,
                                 bool *ret_high, bool *ret_escapes)
{
    bool high = false, escapes = false;

    for (;;) {
        at = scan_stop(at, &high);
        if (*at == '"')
            break;
        if (*at != '\\') {
            if (at >= decoder->end)
                return json_fail_syntax(decoder, at, "the end of a string");
            return json_fail(decoder, WEIR_REASON_SYNTAX, at,
                             "a control character inside a string");
        }
        escapes = true;
        if (at[1] == 0)
            return json_fail_syntax(decoder, at + 1, "an escape");
        at += 2;
    }
    *ret_high = high;
    *ret_escapes = escapes;
    return at;
}

/* The decoded text of the string at `at` (its quote): in the record, or in scratch if there are
 * escapes. */
static const uint8_t *walk_text(struct weir_json_decoder *decoder, const uint8_t *at,
                                const char **ret_text, size_t *ret_size)
{
    bool high, escapes;
    const uint8_t *from = at + 1, *end = string_end(decoder, from, &high, &escapes);

    if (!end)
        return NULL;
    if (escapes) {
        if (!json_scratch(decoder) ||
            !json_unescape(decoder, from, end, decoder->scratch, ret_size))
            return NULL;
        *ret_text = (const char *)decoder->scratch;
    } else {
        if (high && !json_check_utf8(decoder, from, end))
            return NULL;
        *ret_text = (const char *)from;
        *ret_size = (size_t)(end - from);
    }
    return end + 1;
}

/* ---- values nobody wants: checked, not kept -------------------------------------------------- */

static const uint8_t *skip_literal(struct weir_json_decoder *decoder, const uint8_t *at)
{
    if (memcmp(at, "true", 4) == 0 || memcmp(at, "null", 4) == 0)
        return at + 4;
    if (memcmp(at, "false", 5) == 0)
        return at + 5;
    return json_fail_syntax(decoder, at, "a value");
}

static const uint8_t *skip_scalar(struct weir_json_decoder *decoder, const uint8_t *at)
{
    const char *text;
    size_t size;
    const uint8_t *end;

    if (*at == '"')
        return walk_text(decoder, at, &text, &size);
    if (*at != '-' && (uint8_t)(*at - '0') > 9)
        return skip_literal(decoder, at);
    end = json_number_end(at);
    return end ? end : json_fail_syntax(decoder, at, "a number");
}

/* "key": at `at`, to the value. */
static const uint8_t *skip_key(struct weir_json_decoder *decoder, const uint8_t *at)
{
    const char *text;
    size_t size;

    if (*at != '"')
        return json_fail_syntax(decoder, at, "a key in quotes");
    at = walk_text(decoder, at, &text, &size);
    if (!at)
        return NULL;
    at = skip_space(at);
    if (*at != ':')
        return json_fail_syntax(decoder, at, "a colon");
    return skip_space(at + 1);
}

/* A value of any shape, without recursion: a bit per open container says whether it is an object.
 */
static const uint8_t *skip_value(struct weir_json_decoder *decoder, const uint8_t *at,
                                 unsigned depth)
{
    unsigned __int128 objects = 0;
    unsigned level = 0;

    for (;;) {
        if (*at == '{' || *at == '[') {
            bool object = *at == '{';
            if (depth + level >= WEIR_JSON_DEPTH_MAX)
                return json_fail(decoder, WEIR_REASON_DEPTH, at, "nested deeper than %d",
                                 WEIR_JSON_DEPTH_MAX);
            objects = objects << 1 | object;
            level++;
            at = skip_space(at + 1);
            if (*at != (object ? '}' : ']')) {
                if (object && !(at = skip_key(decoder, at)))
                    return NULL;
                continue;
            }
            /* empty: closed below */
        } else {
            at = skip_scalar(decoder, at);
            if (!at || level == 0)
                return at;
            at = skip_space(at);
        }
        while (*at == (objects & 1 ? '}' : ']')) {
            objects >>= 1;
            at++;
            if (--level == 0)
                return at;
            at = skip_space(at);
        }
        if (*at != ',')
            return json_fail_syntax(decoder, at, objects & 1 ? "a comma or }" : "a comma or ]");
        at = skip_space(at + 1);
        if ((objects & 1) && !(at = skip_key(decoder, at)))
            return NULL;
    }
}

/* ---- single values --------------------------------------------------------------------------- */

static const uint8_t *walk_string_slow(struct weir_json_decoder *decoder, struct json_node *node,
                                       const uint8_t *at)
{
    bool high, escapes;
    const uint8_t *from = at + 1, *end = string_end(decoder, from, &high, &escapes);
    size_t size;

    if (!end)
        return NULL;
    size = (size_t)(end - from);
    if (!json_column_reserve(decoder, node, size))
        return NULL;
    if (escapes) {
        if (!json_unescape(decoder, from, end, node->values + node->bytes, &size))
            return NULL;
    } else {
        if (high && !json_check_utf8(decoder, from, end))
            return NULL;
        memcpy(node->values + node->bytes, from, size);
    }
    node->bytes += size;
    node->count++;
    node->offsets[node->count] = (int32_t)node->bytes;
    return end + 1;
}

/* Most strings are short plain ASCII: one block is copied before it is known where the string ends.
 */
static inline const uint8_t *walk_string(struct weir_json_decoder *decoder, struct json_node *node,
                                         const uint8_t *at)
{
    uint64_t stops, highs;

    if (!json_room(decoder, node) || !json_bytes_room(decoder, node, JSON_BLOCK))
        return NULL;
    scan_block(at + 1, node->values + node->bytes, &stops, &highs);
    if (__builtin_expect(stops != 0, 1)) {
        unsigned size = (unsigned)__builtin_ctzll(stops);
        if (__builtin_expect(at[1 + size] == '"' && (highs & (stops - 1) & ~stops) == 0, 1)) {
            node->bytes += size;
            node->count++;
            node->offsets[node->count] = (int32_t)node->bytes;
            return at + size + 2;
        }
    }
    return walk_string_slow(decoder, node, at);
}

static const uint8_t *walk_number_slow(struct weir_json_decoder *decoder, struct json_node *node,
                                       const uint8_t *at)
{
    const uint8_t *end = json_number_end(at);

    if (!end)
        return json_fail_syntax(decoder, at, "a number");
    return json_put_number(decoder, node, at, (size_t)(end - at)) ? end : NULL;
}

static inline bool ends_number(uint8_t c)
{
    return c == ',' || c == '}' || c == ']' || c == ' ' || c == '\n' || c == '\r' || c == '\t' ||
           c == 0;
}

/* Up to 18 digits and nothing else; the rest goes the slow way, which knows every form. */
static inline bool fast_integer(const uint8_t *at, int64_t *ret_value, const uint8_t **ret_end)
{
    bool negative = *at == '-';
    const uint8_t *first = at + negative, *end = first;
    uint64_t value = 0;
    uint8_t digit;

    while ((digit = (uint8_t)(*end - '0')) < 10 && end - first < 19) {
        value = value * 10 + digit;
        end++;
    }
    if (end == first || end - first > 18 || (*first == '0' && end - first > 1) ||
        !ends_number(*end))
        return false;
    *ret_value = negative ? -(int64_t)value : (int64_t)value;
    *ret_end = end;
    return true;
}

static inline const uint8_t *walk_integer(struct weir_json_decoder *decoder, struct json_node *node,
                                          const uint8_t *at)
{
    int64_t value;
    const uint8_t *end;

    if (__builtin_expect(!fast_integer(at, &value, &end), 0))
        return walk_number_slow(decoder, node, at);
    if (!json_room(decoder, node))
        return NULL;
    if (node->type == WEIR_LONG) {
        ((int64_t *)node->values)[node->count++] = value;
        return end;
    }
    if (__builtin_expect(value != (int32_t)value, 0))
        return json_fail_range(decoder, node, at);
    ((int32_t *)node->values)[node->count++] = (int32_t)value;
    return end;
}

/* At most 15 digits with a point and no exponent: an exact quotient, so one rounding. */
static inline const uint8_t *walk_double(struct weir_json_decoder *decoder, struct json_node *node,
                                         const uint8_t *at)
{
    static const double powers[] = {1,   1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    bool negative = *at == '-';
    const uint8_t *first = at + negative, *end = first, *point;
    uint64_t mantissa = 0;
    size_t whole, fraction = 0;
    uint8_t digit;
    double value;

    while ((digit = (uint8_t)(*end - '0')) < 10 && end - first < 16) {
        mantissa = mantissa * 10 + digit;
        end++;
    }
    whole = (size_t)(end - first);
    if (*end == '.') {
        point = ++end;
        while ((digit = (uint8_t)(*end - '0')) < 10 && end - point < 16) {
            mantissa = mantissa * 10 + digit;
            end++;
        }
        fraction = (size_t)(end - point);
        if (fraction == 0)
            return walk_number_slow(decoder, node, at);
    }
    if (__builtin_expect(whole == 0 || whole + fraction > 15 || (*first == '0' && whole > 1) ||
                             !ends_number(*end),
                         0))
        return walk_number_slow(decoder, node, at);
    if (!json_room(decoder, node))
        return NULL;
    value = (double)mantissa / powers[fraction];
    ((double *)node->values)[node->count++] = negative ? -value : value;
    return end;
}

static const uint8_t *walk_boolean(struct weir_json_decoder *decoder, struct json_node *node,
                                   const uint8_t *at)
{
    bool value = *at == 't';

    if (value ? memcmp(at, "true", 4) != 0 : memcmp(at, "false", 5) != 0)
        return *at == 't' || *at == 'f' ? json_fail_syntax(decoder, at, "a value")
                                        : json_fail_type(decoder, node, at);
    if (!json_room(decoder, node))
        return NULL;
    if (value)
        weir_bit_set(node->values, node->count);
    else
        weir_bit_clear(node->values, node->count);
    node->count++;
    return at + (value ? 4 : 5);
}

static const uint8_t *walk_other_text(struct weir_json_decoder *decoder, struct json_node *node,
                                      const uint8_t *at)
{
    const char *text;
    size_t size;
    const uint8_t *end = walk_text(decoder, at, &text, &size);

    if (!end || !json_put_text(decoder, node, at, text, size))
        return NULL;
    return end;
}

static const uint8_t *walk_null(struct weir_json_decoder *decoder, struct json_node *node,
                                const uint8_t *at)
{
    if (memcmp(at, "null", 4) != 0)
        return json_fail_syntax(decoder, at, "a value");
    if (node->required)
        return json_fail(decoder, WEIR_REASON_REQUIRED, at, "required, but null");
    return json_column_null(decoder, node) ? at + 4 : NULL;
}

/* ---- nested values --------------------------------------------------------------------------- */

static const uint8_t *walk_list(struct weir_json_decoder *decoder, struct json_node *node,
                                const uint8_t *at, unsigned depth)
{
    struct json_node *element = &node->children[0];
    uint32_t start = element->count;

    if (*at != '[')
        return json_fail_type(decoder, node, at);
    if (depth >= WEIR_JSON_DEPTH_MAX)
        return json_fail(decoder, WEIR_REASON_DEPTH, at, "nested deeper than %d",
                         WEIR_JSON_DEPTH_MAX);
    if (!json_room(decoder, node))
        return NULL;
    at = skip_space(at + 1);
    if (*at != ']') {
        for (;;) {
            at = walk_value(decoder, element, at, depth + 1);
            if (!at) {
                if (decoder->careful)
                    json_path_index(&decoder->failure, element->count - start, "");
                return NULL;
            }
            at = skip_space(at);
            if (*at != ',')
                break;
            at = skip_space(at + 1);
        }
        if (*at != ']')
            return json_fail_syntax(decoder, at, "a comma or ]");
    }
    node->count++;
    node->offsets[node->count] = (int32_t)element->count;
    return at + 1;
}

/* "key": of a map into its key column; to the value. */
static const uint8_t *walk_map_key(struct weir_json_decoder *decoder, struct json_node *key,
                                   const uint8_t *at)
{
    const char *text;
    size_t size;
    const uint8_t *end;

    if (*at != '"')
        return json_fail_syntax(decoder, at, "a key in quotes");
    if (key->type == WEIR_STRING) {
        end = walk_string(decoder, key, at);
        if (!end)
            return NULL;
    } else {
        end = walk_text(decoder, at, &text, &size);
        if (!end || !json_put_key(decoder, key, at, text, size))
            return NULL;
    }
    end = skip_space(end);
    if (*end != ':')
        return json_fail_syntax(decoder, end, "a colon");
    return skip_space(end + 1);
}

/* Careful pass: which entries of the map at `at` are overridden by later ones. */
static bool map_survey(struct weir_json_decoder *decoder, struct json_node *key, const uint8_t *at,
                       unsigned depth, size_t *ret_base)
{
    uint32_t start = key->count;
    bool done;

    at = skip_space(at + 1);
    while (*at != '}') {
        at = walk_map_key(decoder, key, at);
        if (!at) {
            json_path_index(&decoder->failure, key->count - start, ".key");
            return false;
        }
        at = skip_value(decoder, at, depth + 1);
        if (!at)
            return false;
        at = skip_space(at);
        if (*at != ',')
            break;
        at = skip_space(at + 1);
        if (*at == '}')
            break; /* the walk itself will refuse it */
    }
    done = json_map_dead(decoder, key, start, ret_base);
    json_column_truncate(key, start);
    return done;
}

static const uint8_t *map_entries(struct weir_json_decoder *decoder, struct json_node *node,
                                  const uint8_t *at, unsigned depth, size_t dead_base)
{
    struct json_node *key = &node->children[0], *value = &node->children[1];

    for (size_t entry = 0;; entry++) {
        uint32_t row = key->count;
        at = walk_map_key(decoder, key, at);
        if (!at)
            return NULL;
        if (decoder->careful && decoder->map_dead[dead_base + entry]) {
            json_column_truncate(key, row);
            at = skip_value(decoder, at, depth + 1);
        } else {
            at = walk_value(decoder, value, at, depth + 1);
        }
        if (!at) {
            if (decoder->careful)
                json_path_index(&decoder->failure, entry, ".value");
            return NULL;
        }
        at = skip_space(at);
        if (*at != ',')
            break;
        at = skip_space(at + 1);
    }
    return *at == '}' ? at : json_fail_syntax(decoder, at, "a comma or }");
}

static const uint8_t *walk_map(struct weir_json_decoder *decoder, struct json_node *node,
                               const uint8_t *at, unsigned depth)
{
    struct json_node *key = &node->children[0];
    uint32_t start = key->count;
    size_t dead_base = 0;

    if (*at != '{')
        return json_fail_type(decoder, node, at);
    if (depth >= WEIR_JSON_DEPTH_MAX)
        return json_fail(decoder, WEIR_REASON_DEPTH, at, "nested deeper than %d",
                         WEIR_JSON_DEPTH_MAX);
    if (!json_room(decoder, node))
        return NULL;
    if (decoder->careful && !map_survey(decoder, key, at, depth, &dead_base))
        return NULL;
    at = skip_space(at + 1);
    if (*at != '}') {
        at = map_entries(decoder, node, at, depth, dead_base);
        if (!at)
            return NULL;
    }
    if (decoder->careful)
        decoder->map_dead_size = dead_base;
    else if (key->count - start > 1 && json_map_repeats(decoder, key, start))
        return NULL; /* the careful pass settles it */
    node->count++;
    node->offsets[node->count] = (int32_t)key->count;
    return at + 1;
}

/* Whether the bytes at `at` are the key of that node, quotes included. */
static inline bool key_equal(const struct json_node *node, const uint8_t *at)
{
    uint64_t words[JSON_KEY_WORDS], differ;

    memcpy(words, at, sizeof words);
    differ = ((words[0] ^ node->key_words[0]) & node->key_masks[0]) |
             ((words[1] ^ node->key_words[1]) & node->key_masks[1]);
    if (__builtin_expect(node->key_size > 16, 0)) {
        differ |= ((words[2] ^ node->key_words[2]) & node->key_masks[2]) |
                  ((words[3] ^ node->key_words[3]) & node->key_masks[3]);
        if (node->key_size > JSON_KEY_FAST && differ == 0)
            return memcmp(at, node->key, node->key_size) == 0;
    }
    return differ == 0 && node->key_size > 0;
}

/* A key that was not the one expected: found by hash, or *ret_child = NULL. To behind its quote. */
static const uint8_t *walk_key(struct weir_json_decoder *decoder, struct json_node *node,
                               const uint8_t *at, struct json_node **ret_child)
{
    const char *name;
    size_t size;
    const uint8_t *end;

    if (*at != '"')
        return json_fail_syntax(decoder, at, "a key in quotes");
    end = walk_text(decoder, at, &name, &size);
    if (end)
        *ret_child = json_plan_find(node, name, size);
    return end;
}

static const uint8_t *walk_unknown(struct weir_json_decoder *decoder, struct json_node *node,
                                   const uint8_t *key, const uint8_t *at, unsigned depth)
{
    const uint8_t *end = skip_value(decoder, at, depth);

    if (!end || decoder->unknown_fields == WEIR_UNKNOWN_IGNORE)
        return end;
    return json_unknown_member(decoder, node, key, at) ? end : NULL;
}

/* After a member's value failed. In the careful pass the member is left null for now: a later one
 * may override it. */
static __attribute__((noinline)) const uint8_t *rescue_member(struct weir_json_decoder *decoder,
                                                              struct json_node *child, uint32_t row,
                                                              const uint8_t *at, unsigned depth)
{
    enum weir_reason reason = decoder->failure.reason;

    if (!decoder->careful || decoder->status != WEIR_OK)
        return NULL;
    json_path_member(&decoder->failure, child->name);
    if (reason == WEIR_REASON_SYNTAX || reason == WEIR_REASON_ENCODING ||
        reason == WEIR_REASON_DEPTH)
        return NULL;
    *child->failure = decoder->failure;
    child->pending = true;
    json_column_truncate(child, row);
    if (!json_column_null(decoder, child))
        return NULL;
    return skip_value(decoder, at, depth);
}

/* Careful pass, struct closed: what is still wrong, the first in the record before the others. */
static bool settle_members(struct weir_json_decoder *decoder, const struct json_node *node)
{
    const struct json_node *first = NULL;

    for (uint32_t i = 0; i < node->child_count; i++) {
        const struct json_node *child = &node->children[i];
        if (child->pending && (!first || child->failure->position < first->failure->position))
            first = child;
    }
    if (!first)
        return true;
    decoder->failure = *first->failure;
    return false;
}

static __attribute__((noinline)) bool fill_missing(struct weir_json_decoder *decoder,
                                                   struct json_node *node, uint32_t row,
                                                   const uint8_t *open)
{
    for (uint32_t i = 0; i < node->child_count; i++) {
        struct json_node *child = &node->children[i];
        if (child->count > row)
            continue;
        if (child->required) {
            json_fail(decoder, WEIR_REASON_REQUIRED, open, "required, but missing");
            if (decoder->careful)
                json_path_member(&decoder->failure, child->name);
            return false;
        }
        if (!json_column_null(decoder, child))
            return false;
    }
    return true;
}

static inline const uint8_t *walk_member(struct weir_json_decoder *decoder, struct json_node *node,
                                         struct json_node *child, const uint8_t *at, uint32_t row,
                                         unsigned depth, uint32_t *seen)
{
    const uint8_t *end;

    if (__builtin_expect(child->count > row, 0)) {
        json_column_truncate(child, row); /* the same key again: the last one wins */
        child->pending = false;
    } else {
        ++*seen;
    }
    end = walk_value(decoder, child, at, depth);
    return __builtin_expect(end != NULL, 1) ? end : rescue_member(decoder, child, row, at, depth);
}

/* Where the value behind a key begins. */
static inline const uint8_t *walk_colon(struct weir_json_decoder *decoder, const uint8_t *at)
{
    if (__builtin_expect(*at != ':', 0)) {
        at = skip_space(at);
        if (*at != ':')
            return json_fail_syntax(decoder, at, "a colon");
    }
    return skip_space(at + 1);
}

static const uint8_t *walk_struct(struct weir_json_decoder *decoder, struct json_node *node,
                                  const uint8_t *at, unsigned depth)
{
    const uint8_t *open = at;
    uint32_t row = node->count, seen = 0, *guess = &node->first;

    if (*at != '{')
        return json_fail_type(decoder, node, at);
    if (depth >= WEIR_JSON_DEPTH_MAX)
        return json_fail(decoder, WEIR_REASON_DEPTH, at, "nested deeper than %d",
                         WEIR_JSON_DEPTH_MAX);
    if (!json_room(decoder, node))
        return NULL;
    if (decoder->careful)
        for (uint32_t i = 0; i < node->child_count; i++)
            node->children[i].pending = false;
    at = skip_space(at + 1);
    while (*at != '}') {
        struct json_node *child = &node->children[*guess];
        const uint8_t *key = at;
        if (__builtin_expect(key_equal(child, at), 1)) {
            at += child->key_size;
        } else {
            at = walk_key(decoder, node, at, &child);
            if (!at)
                return NULL;
            if (child)
                *guess = (uint32_t)(child - node->children);
        }
        at = walk_colon(decoder, at);
        if (!at)
            return NULL;
        if (__builtin_expect(child != NULL, 1)) {
            at = walk_member(decoder, node, child, at, row, depth + 1, &seen);
            guess = &child->next;
        } else {
            at = walk_unknown(decoder, node, key, at, depth + 1);
        }
        if (!at)
            return NULL;
        at = skip_space(at);
        if (*at != ',')
            break;
        at = skip_space(at + 1);
        if (*at == '}')
            return json_fail_syntax(decoder, at, "a key in quotes");
    }
    if (*at != '}')
        return json_fail_syntax(decoder, at, "a comma or }");
    if (decoder->careful && !settle_members(decoder, node))
        return NULL;
    if (seen < node->child_count && !fill_missing(decoder, node, row, open))
        return NULL;
    node->count = row + 1;
    return at + 1;
}

static const uint8_t *walk_value(struct weir_json_decoder *decoder, struct json_node *node,
                                 const uint8_t *at, unsigned depth)
{
    if (__builtin_expect(*at == 'n', 0))
        return walk_null(decoder, node, at);
    switch (node->type) {
    case WEIR_STRING:
        return *at == '"' ? walk_string(decoder, node, at) : json_fail_type(decoder, node, at);
    case WEIR_STRUCT: return walk_struct(decoder, node, at, depth);
    case WEIR_LIST: return walk_list(decoder, node, at, depth);
    case WEIR_MAP: return walk_map(decoder, node, at, depth);
    case WEIR_BOOLEAN: return walk_boolean(decoder, node, at);
    default: break;
    }
    if (*at == '"')
        return walk_other_text(decoder, node, at);
    if (*at != '-' && (uint8_t)(*at - '0') > 9)
        return json_fail_type(decoder, node, at);
    switch (node->type) {
    case WEIR_INT:
    case WEIR_LONG: return walk_integer(decoder, node, at);
    case WEIR_DOUBLE: return walk_double(decoder, node, at);
    default: return walk_number_slow(decoder, node, at);
    }
}

/* Careful pass: what is no JSON is told before anything that JSON can be. To behind the value. */
static bool check_record(struct weir_json_decoder *decoder, const uint8_t *at)
{
    at = skip_value(decoder, at, 0);
    if (!at)
        return false;
    at = skip_space(at);
    if (at == decoder->end)
        return true;
    json_fail(decoder, WEIR_REASON_SYNTAX, at, "want the end of the record, found more");
    return false;
}

/* The record in decoder->text as one more row of the root. The caller has made sure that it is not
 * empty. */
bool JSON_WALK_NAME(struct weir_json_decoder *decoder)
{
    const uint8_t *at = skip_space(decoder->text);

    if (decoder->careful && !check_record(decoder, at))
        return false;
    at = walk_struct(decoder, decoder->root, at, 0);
    return at && skip_space(at) == decoder->end;
}
