"""Neural Cleanse: find, name and remove a planted trigger (Wang, Yao, Shan, Li, Viswanath, Zheng, Zhao 2019)."""
