// The kernel language: text form of the kernel IR, number formats, schedule lines.
grammar Kern;

file : (kernel | format | schedule)* EOF ;

// Full form: "-> y: f32[N]" and stages in braces. Short form: "-> y[n] = expr", extents inferred.
kernel
  : KERNEL name '(' (operand (',' operand)*)? ')' '->' (operand (',' operand)*)? '{' statement* '}' # fullKernel
  | KERNEL name '(' (operand (',' operand)*)? ')' '->' name list '=' expr # shortKernel
  ;

operand : name ':' name list ;

statement
  : TEMP name ':' name list ';' # temporary
  | target (FOR ('(' ')' | axis (',' axis)*))? '=' expr ';' # stage
  ;

target : name list | '(' name AS name list ')' list ;

axis : name ('<' expr)? ;

list : '[' (expr (',' expr)*)? ']' ;

expr
  : '(' name AS name list ')' list # view
  | '(' expr ')' # group
  | literal # constant
  | name '!'? '(' (expr (',' expr)*)? ')' # call
  | name '.' name list? # field
  | name list # load
  | name # variable
  | '-' expr # negate
  | expr op=('*' | '/' | '%') expr # binary
  | fold '(' (axis (',' axis)*)? ')' expr # reduction
  | expr op=('+' | '-') expr # binary
  | expr op=('<<' | '>>') expr # binary
  | expr op=('==' | '!=' | '<' | '<=' | '>' | '>=') expr # binary
  | expr op='&' expr # binary
  | expr op='^' expr # binary
  | expr op='|' expr # binary
  ;

fold : SUM | PROD | REDUCE name ;

literal : '-'? (INT | FLOAT | HEX | HEXFLOAT) | TRUE | FALSE ;

format : FORMAT name '{' formatItem* '}' ;

formatItem
  : 'block' INT ';'? # blockSize
  | layout # blockLayout
  | 'group' INT '{' layout* '}' ';'? # groupSection
  | level=('row' | 'tensor') '{' layout* '}' ';'? # levelSection
  | 'table' name '=' '[' literal (',' literal)* ','? ']' ';'? # table
  | 'operand' name '[' INT ']' ';'? # operandTable
  | name '(' name (',' name)* ')' '=' expr ';'? # definition
  ;

layout
  : layoutField # plainField
  | 'bytes' INT '{' layoutField* '}' ';'? # region
  ;

layoutField : name ':' name ('[' INT ']')? ('at' expr)? ';'? ;

schedule : SCHEDULE name '{' (hint ';'?)* '}' ;

// tile n 64 vec 16; pack B [n/64][k][n%64]; order n m; parallel m; init bias
hint : 'tile' name INT ('vec' INT)? # tile
  | 'pack' name list+ # pack
  | 'order' name+ # order
  | 'parallel' name # parallel
  | 'init' name # init
  ;

// Words of the grammar that can also be names.
name
  : IDENT | QUOTED | 'block' | 'group' | 'row' | 'tensor' | 'table' | 'operand' | 'bytes' | 'at' | 'tile' | 'vec' | 'pack' | 'order'
  | 'parallel' | 'init'
  ;

KERNEL : 'kernel' ;
FORMAT : 'format' ;
SCHEDULE : 'schedule' ;
TEMP : 'temp' ;
FOR : 'for' ;
AS : 'as' ;
SUM : 'sum' ;
PROD : 'prod' ;
REDUCE : 'reduce' ;
TRUE : 'true' ;
FALSE : 'false' ;

HEXFLOAT : '0x' [0-9a-fA-F]+ ('.' [0-9a-fA-F]+)? 'p' [+-]? DIGIT+ SUFFIX? ;
HEX : '0x' [0-9a-fA-F]+ SUFFIX? ;
FLOAT : DIGIT+ ('.' DIGIT+ EXPONENT? | EXPONENT) SUFFIX? ;
INT : DIGIT+ SUFFIX? ;
IDENT : [a-zA-Z_] [a-zA-Z_0-9]* ;
QUOTED : '`' ~[`\r\n]* '`' ;

fragment DIGIT : [0-9] ;
fragment EXPONENT : [eE] [+-]? DIGIT+ ;
fragment SUFFIX : '_' [a-z] [a-z0-9]* ;

COMMENT : '#' ~[\r\n]* -> skip ;
SPACE : [ \t\r\n]+ -> skip ;
