@ A Cortex-M3 program for QEMU's lm3s6965evb: says READY at UART0, counts there ten times a second, and says what is typed.
        .syntax unified
        .cpu cortex-m3
        .thumb
        .word 0x20001000        @ the stack
        .word start + 1         @ the first instruction, in Thumb
        .rept 13
        .word stop + 1          @ what never happens
        .endr
        .word tick + 1          @ the timer
start:  ldr r4, uart
        movs r5, #0             @ the counter
        ldr r0, timer
        ldr r1, reload
        str r1, [r0, #4]
        movs r1, #7
        str r1, [r0]            @ it runs, and interrupts
        adr r0, ready
greet:  ldrb r1, [r0], #1
        cbz r1, count
        str r1, [r4]
        b greet
count:  adds r5, #1
        movs r6, #28            @ its digits, the highest first
digit:  lsr r1, r5, r6
        and r1, #15
        cmp r1, #10
        ite lt
        addlt r1, #'0'
        addge r1, #'a' - 10
        str r1, [r4]
        subs r6, #4
        bpl digit
        movs r1, #'\n'
        str r1, [r4]
        ldr r1, [r4, #0x18]     @ the flags of the UART
        tst r1, #16             @ nothing was received
        bne sleep
        ldr r1, [r4]
        movs r0, #'<'
        str r0, [r4]
        str r1, [r4]
        movs r0, #'>'
        str r0, [r4]
        movs r0, #'\n'
        str r0, [r4]
sleep:  wfi
        b count
tick:   bx lr
stop:   b stop
        .align 2
uart:   .word 0x4000C000
timer:  .word 0xE000E010
reload: .word 1250000
ready:  .asciz "READY\n"
