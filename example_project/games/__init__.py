"""The games of the brand: Casino, Sports, Poker and Bingo, and the bets on them."""
