/* A stand-in for a vendor's external delegate: it takes the last node of any model and answers with one class, of
 * its option `answer`, or fails as a driver does, when cue.h says so. An option that it does not have is an error. */

#define _GNU_SOURCE
#include "cue.h"
#include "tflite.h"

static TfLiteStatus prepare_node(TfLiteContext *context, TfLiteNode *node)
{
    (void)context;
    (void)node;
    return pass("allocate") ? kTfLiteOk : kTfLiteError;
}

static void *init_node(TfLiteContext *context, const char *parameters, size_t bytes)
{
    (void)context;
    (void)bytes; /* of a delegate's node: the parameters are a structure, which has the delegate first */
    return *(void *const *)parameters;
}

static TfLiteStatus invoke_node(TfLiteContext *context, TfLiteNode *node)
{
    if (!pass("invoke"))
        return kTfLiteError;
    const TfLiteDelegate *delegate = node->user_data;
    TfLiteTensor *answer = &context->tensors[node->outputs->data[0]];
    size_t number = (size_t)delegate->data_;
    if (number >= answer->bytes)
        return kTfLiteError;
    memset(answer->data, 0, answer->bytes);
    ((uint8_t *)answer->data)[number] = 230;
    return kTfLiteOk;
}

static TfLiteStatus prepare(TfLiteContext *context, TfLiteDelegate *delegate)
{
    if (!pass("prepare"))
        return kTfLiteError;
    TfLiteIntArray *plan;
    if (context->GetExecutionPlan(context, &plan) != kTfLiteOk)
        return kTfLiteError;
    if (!pass("take") || plan->size == 0) /* a model that has nothing for it: that is no error */
        return kTfLiteOk;
    TfLiteIntArray *mine = calloc(1, sizeof *mine + sizeof(int));
    mine->data[mine->size++] = plan->data[plan->size - 1];
    TfLiteRegistration kernel = {
        .init = init_node, .prepare = prepare_node, .invoke = invoke_node, .custom_name = "NpuDelegate", .version = 1};
    TfLiteStatus status = context->ReplaceNodeSubsetsWithDelegateKernels(context, kernel, mine, delegate);
    free(mine);
    return status;
}

TfLiteDelegate *tflite_plugin_create_delegate(char **keys, char **values, size_t options,
                                              void (*report)(const char *))
{
    size_t answer = 0;
    for (size_t i = 0; i < options; i++) {
        if (strcmp(keys[i], "answer") == 0) {
            answer = strtoul(values[i], NULL, 10);
        } else {
            report("unknown option");
            return NULL;
        }
    }
    if (!pass("open")) {
        report("cannot open /dev/npu0");
        return NULL;
    }
    TfLiteDelegate *delegate = calloc(1, sizeof *delegate);
    delegate->data_ = (void *)answer;
    delegate->Prepare = prepare;
    return delegate;
}

void tflite_plugin_destroy_delegate(TfLiteDelegate *delegate)
{
    free(delegate);
}
