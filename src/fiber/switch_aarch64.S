/*
 * Switching stacks on aarch64 (AAPCS64): x19 to x30 and the low halves of v8 to v15 belong to the
 * caller's caller and are kept on the stack that is left.
 *
 *     suspended stack, from its saved pointer up (160 bytes):
 *     x19 x20 ... x29 x30 | d8 ... d15 | the frame of the suspended function ...
 *
 * It ends in `ret`, because a return needs no landing pad where branch target identification is on.
 */

    .text

/* void nd_switch(void **save_sp, void *load_sp) */
    .globl nd_switch
    .hidden nd_switch
    .type nd_switch, %function
    .p2align 4
nd_switch:
    .cfi_startproc
    hint #34 /* bti c */
    sub sp, sp, #160
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
    .cfi_endproc
    .size nd_switch, .-nd_switch

/* void *nd_switch_prepare(void *bottom, void *top, void (*entry)(void)) */
    .globl nd_switch_prepare
    .hidden nd_switch_prepare
    .type nd_switch_prepare, %function
    .p2align 4
nd_switch_prepare:
    .cfi_startproc
    hint #34 /* bti c */
    and x1, x1, #-16
    sub x1, x1, #160
    stp xzr, x2, [x1, #80] /* no caller's frame; go on at the entry */
    mov x0, x1
    ret
    .cfi_endproc
    .size nd_switch_prepare, .-nd_switch_prepare

    .section .note.GNU-stack, "", %progbits
