/* The merged file back as YAML, in block style, each text quoted that YAML would read otherwise;
 * secrets masked. */
#include "scheduler/pipeline/pipeline_int.h"

#include "engine/base/text.h"

#include <string.h>

static bool plain_good(const struct node *node, bool is_key)
{
    const char *text = node->text;
    size_t size = node->size;
    double number;
    if (!is_key && memmem(text, size, "${", 2))
        return false;
    if (size == 0 || text[0] == ' ' || text[size - 1] == ' ' ||
        strchr("-?:,[]{}#&*!|>'\"%@`~=<.+0123456789", text[0]))
        return node->style == STYLE_PLAIN && size && strspn(text, "0123456789") == size && !is_key
                   ? true
                   : node->style == STYLE_PLAIN && weir_text_double(text, size, &number);
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == 0x7f || c == '#' || c == '"' || c == '\\' ||
            (c == ':' && (i + 1 == size || text[i + 1] == ' ')))
            return false;
    }
    static const char *const words[] = {"true", "false", "null", "yes", "no",
                                        "on",   "off",   "y",    "n"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasecmp(text, words[i]) == 0)
            return node->style == STYLE_PLAIN;
    return true;
}

static weir_status print_scalar(const struct node *node, bool is_key, struct weir_buffer *out,
                                struct weir_error *reterr)
{
    if (node->kind == NODE_NULL)
        return weir_buffer_print(out, reterr, "null");
    if (node->secret)
        return weir_buffer_print(out, reterr, "\"********\"");
    if (plain_good(node, is_key))
        return weir_buffer_append(out, node->text, node->size, reterr);
    WEIR_TRY(weir_buffer_append(out, "\"", 1, reterr));
    for (size_t i = 0; i < node->size; i++) {
        unsigned char c = (unsigned char)node->text[i];
        if (c == '"' || c == '\\')
            WEIR_TRY(weir_buffer_print(out, reterr, "\\%c", c));
        else if (c == '\n')
            WEIR_TRY(weir_buffer_print(out, reterr, "\\n"));
        else if (c < 0x20 || c == 0x7f)
            WEIR_TRY(weir_buffer_print(out, reterr, "\\x%02x", c));
        else if (!is_key && c == '$' && i + 1 < node->size && node->text[i + 1] == '{')
            WEIR_TRY(weir_buffer_print(out, reterr, "$$"));
        else
            WEIR_TRY(weir_buffer_append(out, &node->text[i], 1, reterr));
    }
    return weir_buffer_append(out, "\"", 1, reterr);
}

static weir_status print_node(const struct node *node, int indent, struct weir_buffer *out,
                              struct weir_error *reterr);

static weir_status print_value(const struct node *value, int indent, struct weir_buffer *out,
                               struct weir_error *reterr)
{
    bool nested = (value->kind == NODE_MAP || value->kind == NODE_LIST) && !value->secret;
    if (nested && value->count) {
        WEIR_TRY(weir_buffer_append(out, "\n", 1, reterr));
        return print_node(value, indent + 2, out, reterr);
    }
    WEIR_TRY(weir_buffer_append(out, " ", 1, reterr));
    if (nested)
        WEIR_TRY(weir_buffer_print(out, reterr, "%s", value->kind == NODE_MAP ? "{}" : "[]"));
    else
        WEIR_TRY(print_scalar(value, false, out, reterr));
    return weir_buffer_append(out, "\n", 1, reterr);
}

static weir_status print_node(const struct node *node, int indent, struct weir_buffer *out,
                              struct weir_error *reterr)
{
    for (size_t i = 0; i < node->count; i++) {
        const struct node_entry *entry = &node->entries[i];
        WEIR_TRY(weir_buffer_print(out, reterr, "%*s", indent, ""));
        if (entry->key) {
            WEIR_TRY(print_scalar(entry->key, true, out, reterr));
            WEIR_TRY(weir_buffer_append(out, ":", 1, reterr));
        } else {
            WEIR_TRY(weir_buffer_append(out, "-", 1, reterr));
        }
        WEIR_TRY(print_value(entry->value, indent, out, reterr));
    }
    return WEIR_OK;
}

weir_status weir_pipeline_print(const struct weir_pipeline *pipeline, struct weir_buffer *out,
                                struct weir_error *reterr)
{
    WEIR_TRY(print_node((const struct node *)pipeline->tree, 0, out, reterr));
    return weir_buffer_print(out, reterr, "%s", ""); /* a NUL behind, not counted */
}
